/* SPDX-License-Identifier: GPL-3.0-or-later */
/* layout.h - how neurons lie on flash; one file a member, one line in layouts.h
 *
 * A layout is the list of FFN regions that hold neurons' weights; row i of each is neuron i's. */
#ifndef FLASH_LAYOUT_H
#define FLASH_LAYOUT_H

#include "model.h"

struct layout_ops {
	const char *name, *help; /* the file is ffn.<name>.gguf */
	enum region regions[2];
	unsigned region_count;
};

#define LAYOUT(name)                                                                               \
	extern const char layout_##name##_help[];                                                  \
	extern const struct layout_ops layout_##name;
#include "layouts.h"
#undef LAYOUT

#endif
