/* SPDX-License-Identifier: GPL-3.0-or-later */
/* model_report.h - a model's facts for people and for machines */
#ifndef FLASH_MODEL_REPORT_H
#define FLASH_MODEL_REPORT_H

#include "model_dram.h"
#include "real_inspect.h"

struct model_report {
	const char *dir;
	const struct model_facts *facts;
	const struct dram_table *dram; /* NULL: not asked for */
	uint64_t ctx;		       /* asked for; 'dram' says what is counted */
	bool verified;		       /* every file is what was written */
	bool tensors;		       /* people: list those of the first layer */
};

void model_report_text(FILE *out, const struct model_report *report);
/* One line, after a model was made. */
void model_report_line(FILE *out, const struct model_report *report);
void model_report_json(FILE *out, const struct model_report *report);

#endif
