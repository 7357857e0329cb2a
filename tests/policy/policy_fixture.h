/* SPDX-License-Identifier: GPL-3.0-or-later */
/* policy_fixture.h - models, traces and policies that the tests of this folder are made of
 *
 * Geometry is only numbers here: no weights exist, so a 16 KiB bundle costs nothing. */
#ifndef FLASH_POLICY_FIXTURE_H
#define FLASH_POLICY_FIXTURE_H

#include "run.h"

/* 'd_model' 4096 gives f16 rows of 8 KiB (bundles of 16 KiB), 4544 is Falcon 7B's. Fails the test
 * on error. */
void fixture_model(struct model *model, uint32_t layers, uint32_t d_model, uint32_t d_ffn,
		   uint32_t row_align);

/* Fails the test when the YAML is refused. */
void fixture_config(struct policy_config *config, const char *yaml);

/* Planes of margins 0.5, 0 (active), -2 (in units of 'density', the active share) and a recorded
 * demand, with neurons that fire at rates of their own and come back, so that windows have
 * something to keep. */
void fixture_trace(struct trace *trace, const struct model *model, uint32_t tokens, uint64_t seed,
		   double density);

/* What a run is made of; zero it first. */
struct fixture {
	struct model model;
	struct trace trace;
	struct policy_config config;
	struct policy *policy;
};
/* A random trace (see above) under a policy on a model of 2 layers; fails the test on error. */
void fixture_open(struct fixture *fixture, const char *yaml, uint32_t d_model, uint32_t d_ffn,
		  uint32_t tokens, uint64_t seed);
void fixture_close(struct fixture *fixture);
struct run_options fixture_options(struct fixture *fixture);

#endif
