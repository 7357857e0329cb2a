/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trace_gen.h - makes traces with given statistics (activity_params.h)
 *
 * Each neuron has its own firing rate (heavy-tailed over neurons) and stays on or off with a memory
 * from token to token; planes of different margin are nested.  The generator's own shape parameters
 * are solved for from the statistics asked for (trace_gen_fit), then every bit is drawn word-wise.
 * Same model, activity, tokens and seed: same trace, bit for bit, on every machine. */
#ifndef FLASH_TRACE_GEN_H
#define FLASH_TRACE_GEN_H

#include "model.h"
#include "trace.h"

/* clang-format off */
struct activity {
#include "param_fields.h"
#include "activity_params.h"
#include "param_end.h"
};
/* clang-format on */
extern const struct param_table activity_table;

/* From the `activity:` of a model YAML. EINVAL when missing or contradictory (place, figures). */
MUST_CHECK int activity_read(struct activity *activity, const struct ynode *model_map,
			     struct err *err);

/* The generator's solved shape; opaque but plain data, so it can be kept and reused over trials. */
struct trace_shape;
/* EDOM when no member of the family has these statistics: says which is missed and what is
 * reachable. */
MUST_CHECK int trace_shape_fit(struct trace_shape **out, const struct activity *activity,
			       uint32_t layer_count, struct err *err);
void trace_shape_free(struct trace_shape *shape);

/* Generate 'token_count' tokens. The caller frees with trace_fini(). */
MUST_CHECK int trace_generate(struct trace *trace, const struct trace_shape *shape,
			      const struct model *model, uint32_t token_count, uint64_t seed,
			      struct err *err);

#endif
