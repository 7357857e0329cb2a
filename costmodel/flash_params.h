/* SPDX-License-Identifier: GPL-3.0-or-later */
/* flash_params.h - rows of a device profile's `flash:` (forms: flash.h) */
F64(latency_ns, DIM_TIME, 0, 1e9, NULL,
    "s: fixed latency of one read with nothing else in flight, before its bytes")
F64(stream_bytes_per_s, DIM_BANDWIDTH, 1e3, 1e13, NULL, "B1: bandwidth of one read's own transfer")
F64(request_rate_per_s, DIM_RATE, 1, 1e9, NULL, "1/h: most requests a second, however small")
F64(peak_bytes_per_s, DIM_BANDWIDTH, 1e3, 1e13, NULL,
    "BM: most bytes a second, however large the reads")
F64(size_norm, DIM_NONE, 1, 64, "2",
    "r: how the request cap and the bandwidth cap combine; 1 sum, large maximum")
F64(knee, DIM_NONE, 0.5, 64, "4",
    "q: how sharply latency bound turns into bottleneck; large is a roofline")
F64(batch_ns, DIM_TIME, 0, 1e9, "0ns",
    "fixed cost of one batch: submission of the first read to wake-up after the last")
F64(crowd_ns, DIM_TIME, 0, 1e9, "0ns",
    "further cost of each read of a batch's first round but one: reads that are all in flight at "
    "once meet in the device")
F64(computing_slowdown, DIM_NONE, 0, 10, "0",
    "how many times as long a step's reads take while kernels run (overlap pipeline); 0: not "
    "measured, as long")
U64(batch_in_flight, DIM_COUNT, 0, 65536, "0",
    "reads in flight that batch_correction was measured with")
F64(batch_spread_ns, DIM_TIME, 0, 1e10, "0ns",
    "tail: standard deviation of a batch's time, stalls apart (tail.h)")
F64(stall_frac, DIM_FRAC, 0, 1, "0", "tail: share of reads that stall")
F64(stall_ns, DIM_TIME, 0, 1e10, "0ns",
    "tail: mean length of a stall (exponential); means hold it already")
