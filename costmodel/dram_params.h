/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dram_params.h - rows of a device profile's `dram:` (forms: dram.h) */
F64(append_bytes_per_s, DIM_BANDWIDTH, 1e6, 1e13, NULL, "copying newly read rows into the store")
F64(append_far_bytes_per_s, DIM_BANDWIDTH, 0, 1e13, "0B/s",
    "the same of rows that have left the caches before they are copied; 0: not measured, as the "
    "others")
U64(near_bytes, DIM_BYTES, 0, 1099511627776, "0B",
    "what the caches keep of a step's reads until they are copied; 0: all")
F64(append_row_ns, DIM_TIME, 0, 1e6, "0ns",
    "fixed cost of one appended row: pointer, bias, bookkeeping")
F64(move_bytes_per_s, DIM_BANDWIDTH, 1e6, 1e13, NULL,
    "moving rows inside the store (holes filled by the last row)")
F64(fresh_bytes_per_s, DIM_BANDWIDTH, 0, 1e13, "0B/s",
    "copying rows into newly allocated memory, its pages and all (store realloc); 0: not measured, "
    "as a move")
F64(move_row_ns, DIM_TIME, 0, 1e6, "0ns", "fixed cost of one deleted row")
F64(step_ns, DIM_TIME, 0, 1e9, "0ns",
    "deciding: fixed cost of each step, attention's and the head's too")
F64(scan_neuron_ns, DIM_TIME, 0, 1e3, "0ns",
    "deciding, a neuron of the layer: the linear pass that finds the rows to delete")
F64(reading_slowdown, DIM_NONE, 1, 10, "1",
    "how many times as long copies take while reads are in flight")
