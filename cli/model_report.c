/* SPDX-License-Identifier: GPL-3.0-or-later */
/* model_report.c - prints what model_facts_read() and dram_table_make() found */
#include "model_report.h"

#include "json_config.h"
#include "plain_text.h"

#include <inttypes.h>
#include <math.h>

enum { TEXT = 64, NAME = 4 * PARAM_STR }; /* a name, and what is shown of it */

static const char *size_text(char text[TEXT], uint64_t bytes)
{
	return unit_human(text, TEXT, (double)bytes, DIM_BYTES);
}

static void print_shape(FILE *out, const struct model_facts *facts)
{
	const struct model *m = &facts->shape;
	char text[PARAM_STR], bytes[TEXT], name[NAME], source[NAME], tokenizer[NAME];

	fprintf(out, "%s: family %s, activation %s, weights %s%s%s\n",
		plain_text(name, sizeof(name), m->name), model_family_words[m->family].text,
		activation_words[m->activation].text, weight_type_words[facts->weights].text,
		facts->source[0] ? ", " : "", plain_text(source, sizeof(source), facts->source));
	for (size_t i = 0; i < model_table.count; i++)
		if (model_table.rows[i].type == PARAM_U64)
			fprintf(out, "  %-16s %s\n", model_table.rows[i].name,
				param_text(text, sizeof(text), &model_table.rows[i], m));
	fprintf(out, "  %-16s %" PRIu64 ", %s unpadded\n", "parameters", model_param_count(m),
		size_text(bytes, model_param_bytes(m, facts->weights)));
	fprintf(out, "  %-16s %s\n", "head", m->own_head ? "a matrix of its own" : "the embedding");
	if (facts->tokenizer[0])
		fprintf(out, "  %-16s %s, %" PRIu64 " tokens\n", "tokenizer",
			plain_text(tokenizer, sizeof(tokenizer), facts->tokenizer),
			facts->token_count);
	else
		fprintf(out, "  %-16s none: it takes token ids\n", "tokenizer");
	fprintf(out, "  %-16s %s\n", "digest", plain_text(name, sizeof(name), facts->digest));
}

static void print_parts(FILE *out, const struct model_facts *facts)
{
	const struct model *m = &facts->shape;
	const uint64_t all = model_param_bytes(m, facts->weights);
	const struct {
		const char *name;
		uint64_t bytes;
	} parts[] = {
		{"embeddings", model_embed_bytes(m, facts->weights)},
		{"attention", model_attention_bytes(m, facts->weights)},
		{"FFN", model_ffn_bytes(m, facts->weights)},
	};
	char text[TEXT];

	fprintf(out, "parts, unpadded\n");
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		fprintf(out, "  %-16s %-10s %5.2f %%\n", parts[i].name,
			size_text(text, parts[i].bytes),
			100 * (double)parts[i].bytes / (double)all);
}

static void print_files(FILE *out, const struct model_report *report)
{
	const struct model_facts *facts = report->facts;
	char all[TEXT], weights[TEXT], padding[TEXT], head[TEXT];

	fprintf(out, "files in %s%s\n", report->dir,
		report->verified ? ", each what was written" : "");
	for (unsigned i = 0; i < facts->file_count; i++) {
		const struct model_file *f = &facts->files[i];

		fprintf(out, "  %-18s %-9s weights %s, padding %s (%.2g %%), header %s\n", f->name,
			size_text(all, f->bytes), size_text(weights, f->weight_bytes),
			size_text(padding, f->padding_bytes),
			100 * (double)f->padding_bytes / (double)f->bytes,
			size_text(head, f->header_bytes));
		if (report->tensors)
			model_file_list(facts, f, out);
	}
	for (unsigned i = 0; i < facts->stray_count; i++) {
		fputs("  does not belong: ", out);
		plain_write(out, facts->strays[i].why);
		fputc('\n', out);
	}
}

static void print_dram_row(FILE *out, const struct dram_row *row, double all)
{
	const uint64_t parts[] = {row->kept_bytes,    row->ffn_bytes,	 row->kv_bytes,
				  row->scratch_bytes, row->buffer_bytes, row->other_bytes,
				  row->all_bytes};
	char text[TEXT];

	fprintf(out, "  %-12s", row->policy);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		fprintf(out, " %-11s", size_text(text, parts[i]));
	fprintf(out, " %6.1f %%  %s", 100 * (double)row->all_bytes / all,
		size_text(text, row->ffn_most_bytes));
	if (!isnan(row->window_frac))
		fprintf(out, "; assumed %.0f %% (%" PRIu64 " tokens)", 100 * row->window_frac,
			row->window_tokens);
	fprintf(out, "\n");
}

static void print_dram(FILE *out, const struct model_report *report)
{
	const struct model_facts *facts = report->facts;
	const struct dram_table *dram = report->dram;
	static const char *const heads[] = {"policy",	   "stays",   "FFN rows", "KV cache",
					    "activations", "buffers", "program",  "in all"};

	fprintf(out, "DRAM by policy, ctx %" PRIu64 ", a prompt as long, %u threads", dram->ctx,
		dram->threads);
	if (dram->ctx < report->ctx)
		fprintf(out, " (of %" PRIu64 " asked for: the model has no more positions)",
			report->ctx);
	fprintf(out, "\n  %-12s", heads[0]);
	for (size_t i = 1; i < sizeof(heads) / sizeof(heads[0]); i++)
		fprintf(out, " %-11s", heads[i]);
	fprintf(out, " %-8s  %s\n", "of model", "FFN rows at most");
	for (size_t i = 0; i < dram->count; i++)
		print_dram_row(out, &dram->rows[i],
			       (double)model_param_bytes(&facts->shape, facts->weights));
	fprintf(out,
		"  as generate --dram counts, which makes buffers smaller where it must; no "
		"predictors, nor an oracle's twin\n"
		"  assumed: a window's share of a layer's rows is s_agg(k) of %s\n",
		dram->activity_of);
}

void model_report_text(FILE *out, const struct model_report *report)
{
	print_shape(out, report->facts);
	print_parts(out, report->facts);
	print_files(out, report);
	if (report->dram)
		print_dram(out, report);
}

void model_report_line(FILE *out, const struct model_report *report)
{
	const struct model_facts *facts = report->facts;
	char bytes[TEXT], name[NAME];

	fprintf(out, "made %s: %s, %s, %s of parameters;", report->dir,
		plain_text(name, sizeof(name), facts->shape.name),
		weight_type_words[facts->weights].text,
		size_text(bytes, model_param_bytes(&facts->shape, facts->weights)));
	for (unsigned i = 0; i < facts->file_count; i++)
		fprintf(out, "%s %s %s", i ? "," : "", facts->files[i].name,
			size_text(bytes, facts->files[i].bytes));
	fprintf(out, "; digest %s\n", facts->digest);
}

static void json_file(struct json *json, const struct model_file *f)
{
	json_put_object(json, NULL);
	json_put_text(json, "name", f->name);
	json_put_text(json, "layout", f->layout ? f->layout->name : "base");
	json_put_count(json, "file_bytes", f->bytes);
	json_put_count(json, "header_bytes", f->header_bytes);
	json_put_count(json, "weight_bytes", f->weight_bytes);
	json_put_count(json, "padding_bytes", f->padding_bytes);
	json_put_text(json, "digest", f->digest);
	json_put_end(json);
}

static void json_dram(struct json *json, const struct model_report *report)
{
	json_put_object(json, "dram");
	json_put_count(json, "ctx_tokens", report->dram->ctx);
	json_put_count(json, "threads", report->dram->threads);
	json_put_text(json, "window_share_of", report->dram->activity_of);
	json_put_list(json, "policies");
	for (size_t i = 0; i < report->dram->count; i++) {
		const struct dram_row *row = &report->dram->rows[i];

		json_put_object(json, NULL);
		json_put_text(json, "policy", row->policy);
		json_put_count(json, "kept_bytes", row->kept_bytes);
		json_put_count(json, "ffn_bytes", row->ffn_bytes);
		json_put_count(json, "ffn_most_bytes", row->ffn_most_bytes);
		json_put_count(json, "kv_bytes", row->kv_bytes);
		json_put_count(json, "scratch_bytes", row->scratch_bytes);
		json_put_count(json, "buffer_bytes", row->buffer_bytes);
		json_put_count(json, "other_bytes", row->other_bytes);
		json_put_count(json, "all_bytes", row->all_bytes);
		json_put_number(json, "window_frac", row->window_frac);
		json_put_end(json);
	}
	json_put_end(json);
	json_put_end(json);
}

void model_report_json(FILE *out, const struct model_report *report)
{
	const struct model_facts *facts = report->facts;
	const struct model *m = &facts->shape;
	struct json json = {.out = out};

	json_put_object(&json, NULL);
	json_put_text(&json, "model_files", report->dir);
	json_put_params(&json, "model", &model_table, m);
	json_put_text(&json, "weights", weight_type_words[facts->weights].text);
	json_put_text(&json, "source", facts->source);
	json_put_text(&json, "digest", facts->digest);
	json_put_flag(&json, "verified", report->verified);
	json_put_text(&json, "tokenizer", facts->tokenizer);
	json_put_count(&json, "token_count", facts->token_count);
	json_put_count(&json, "param_count", model_param_count(m));
	json_put_count(&json, "param_bytes", model_param_bytes(m, facts->weights));
	json_put_count(&json, "embed_bytes", model_embed_bytes(m, facts->weights));
	json_put_count(&json, "attention_bytes", model_attention_bytes(m, facts->weights));
	json_put_count(&json, "ffn_bytes", model_ffn_bytes(m, facts->weights));
	json_put_list(&json, "files");
	for (unsigned i = 0; i < facts->file_count; i++)
		json_file(&json, &facts->files[i]);
	json_put_end(&json);
	json_put_list(&json, "strays");
	for (unsigned i = 0; i < facts->stray_count; i++) {
		json_put_object(&json, NULL);
		json_put_text(&json, "layout", facts->strays[i].layout->name);
		json_put_text(&json, "why", facts->strays[i].why);
		json_put_end(&json);
	}
	json_put_end(&json);
	if (report->dram)
		json_dram(&json, report);
	json_put_end(&json);
}
