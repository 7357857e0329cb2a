/* SPDX-License-Identifier: GPL-3.0-or-later */
/* model_params.h - rows of configs/model/<name>.yaml (see param.h) */
STR(name, "", "what results call it; empty: the file's name")
WORD(family, model_family_words, NULL, "architecture")
U64(layer_count, DIM_COUNT, 1, 1024, NULL, "decoder blocks")
U64(d_model, DIM_COUNT, 32, 65536, NULL, "hidden size; a multiple of head_count and of 32")
U64(d_ffn, DIM_COUNT, 64, 262144, NULL, "FFN hidden units (neurons) a layer; a multiple of 64")
U64(head_count, DIM_COUNT, 1, 1024, NULL, "query heads")
U64(kv_head_count, DIM_COUNT, 1, 1024, NULL, "key/value heads; head_count for OPT, 1 for Falcon 7B")
U64(vocab_count, DIM_COUNT, 16, 1048576, NULL, "rows of the embedding matrix and of the head")
BOOL(own_head, "false", "the head is a matrix of its own; mostly it is the embedding (tied)")
U64(position_count, DIM_COUNT, 16, 1048576, "2048", "longest context; OPT learns a row for each and two more")
WORD(activation, activation_words, "relu", "of the FFN; only relu makes the zeros that sparse execution lives on")
U64(row_align, DIM_BYTES, 512, 4096, "512B", "FFN rows on flash are padded to this for direct I/O; 512B or 4KiB")
