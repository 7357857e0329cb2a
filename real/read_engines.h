/* SPDX-License-Identifier: GPL-3.0-or-later */
/* read_engines.h - every read engine, one line each: (enum of mechanism.h, name) */
READ_ENGINE(READ_PREAD, pread)
READ_ENGINE(READ_IO_URING, io_uring)
READ_ENGINE(READ_MMAP, mmap)
READ_ENGINE(READ_EMULATED, emulated)
READ_ENGINE(READ_NULL, null)
