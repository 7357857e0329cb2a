/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verb_bench.c - our own speed */
#include "bench_decode.h"
#include "bench_device.h"
#include "bench_io.h"
#include "bench_kernels.h"
#include "bench_sim.h"
#include "cli.h"

int verb_bench(int argc, char **argv, struct err *err)
{
	static const struct subverb subs[] = {
		{"decode", "tokens a second, beside llama.cpp", bench_decode},
		{"device", "how exactly this host plays an emulated device", bench_device},
		{"io", "MB/s of the read engines, beside fio", bench_io},
		{"kernels", "GB/s of the kernels, beside a plain read", bench_kernels},
		{"sim", "seconds a simulated trial takes", bench_sim},
	};

	return subverb_run("bench", subs, sizeof(subs) / sizeof(subs[0]), argc, argv, err);
}
