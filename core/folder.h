/* SPDX-License-Identifier: GPL-3.0-or-later */
/* folder.h - folders that are there when something is to be written into them */
#ifndef FLASH_FOLDER_H
#define FLASH_FOLDER_H

#include "err.h"

/* Make the folder and those on the way to it, where they are missing.  ENOTDIR names what stands in
 * the way. */
MUST_CHECK int folder_make(const char *path, struct err *err);
/* The same for the folder that a file of this name lies in. */
MUST_CHECK int folder_make_for(const char *file, struct err *err);

#endif
