/* SPDX-License-Identifier: GPL-3.0-or-later */
/* param_end.h - forgets what param_fields.h or param_rows.h defined */
#undef U64
#undef U64W
#undef F64
#undef WORD
#undef BOOL
#undef STR
#undef PARAM_OWNER
