/* SPDX-License-Identifier: GPL-3.0-or-later */
/* emulated_params.h - rows of an emulated device's `emulated:` mapping (mechanism: real_emulated.h) */
U64(units, DIM_COUNT, 1, 4096, NULL, "flash units that work in parallel; an address belongs to one")
F64(unit_ns, DIM_TIME, 0, 1e9, NULL, "one unit's time for a read, before bytes")
F64(unit_bytes_per_s, DIM_BANDWIDTH, 1e6, 1e13, NULL, "one unit's own transfer rate")
U64(stripe_bytes, DIM_BYTES, 512, 16777216, NULL, "consecutive stripes of this size lie on consecutive units (hashed)")
F64(bus_bytes_per_s, DIM_BANDWIDTH, 1e6, 1e13, NULL, "the bus that all units share")
F64(bus_ns, DIM_TIME, 0, 1e9, "0ns", "bus time of a request, besides its bytes")
F64(request_rate_per_s, DIM_RATE, 1, 1e9, NULL, "controller: most requests a second")
F64(host_ns, DIM_TIME, 0, 1e9, "0ns", "latency outside the device: driver, interrupt")
F64(stall_frac, DIM_FRAC, 0, 1, "0", "share of reads that stall (seeded)")
F64(stall_ns, DIM_TIME, 0, 1e10, "0ns", "mean length of a stall (exponential)")
F64(retry_frac, DIM_FRAC, 0, 1, "0", "share of reads that the unit does twice (seeded)")
