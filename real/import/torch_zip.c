/* SPDX-License-Identifier: GPL-3.0-or-later */
/* torch_zip.c - PyTorch's files: a zip archive of stored members, a pickle that says what they are
 *
 * Since 1.6 torch.save() writes <prefix>/data.pkl, the state dict, and <prefix>/data/N, one member
 * a storage, uncompressed, so that a range of a tensor is a range of its member. */
#include "checkpoint_inside.h"
#include "pickle.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

enum {
	MEMBERS_MAX = 1 << 20,
	MEMBER_NAME_MAX = 255,
	PICKLE_MAX = 64 * 1024 * 1024, /* bytes; a state dict takes some 150 a tensor */
	BYTEORDER_MAX = 16,
};

struct torch_part {
	struct checkpoint_part part;
	zip_t *zip;
	char prefix[MEMBER_NAME_MAX + 1];
	/* The member that was read last: a tensor is mostly read from its start to its end. */
	zip_file_t *file;
	uint64_t file_member, file_at, file_bytes;
};

static void close_member(struct torch_part *torch)
{
	if (torch->file)
		zip_fclose(torch->file);
	torch->file = NULL;
}

/* Stands at byte 'at' of a member; the one that is open serves if it stands there. */
static int open_member(struct torch_part *torch, uint64_t member, uint64_t at, struct err *err)
{
	zip_stat_t st;

	if (torch->file && torch->file_member == member && torch->file_at == at)
		return 0;
	close_member(torch);
	zip_stat_init(&st);
	if (zip_stat_index(torch->zip, member, 0, &st) == 0 && (st.valid & ZIP_STAT_SIZE))
		torch->file = zip_fopen_index(torch->zip, member, 0);
	if (!torch->file)
		return err_set(err, EBADMSG, "%s: cannot open member %" PRIu64 ": %s",
			       torch->part.path, member, zip_strerror(torch->zip));
	torch->file_member = member;
	torch->file_at = at;
	torch->file_bytes = st.size;
	if (at > 0 && zip_fseek(torch->file, (zip_int64_t)at, SEEK_SET) != 0)
		err_set(err, EIO, "%s: member %" PRIu64 ": cannot seek to byte %" PRIu64,
			torch->part.path, member, at);
	return err->code;
}

static int read_failed(struct torch_part *torch, zip_int64_t got, size_t wanted, struct err *err)
{
	const char *name = zip_get_name(torch->zip, torch->file_member, 0);

	if (got < 0 && zip_error_code_zip(zip_file_get_error(torch->file)) == ZIP_ER_CRC)
		err_set(err, EBADMSG, "%s: member '%s': its bytes do not match its checksum",
			torch->part.path, name);
	else
		err_set(err, EIO, "%s: member '%s', byte %" PRIu64 ": %s, expected %zu more bytes",
			torch->part.path, name, torch->file_at,
			got < 0 ? zip_file_strerror(torch->file) : "its end", wanted);
	close_member(torch);
	return err->code;
}

/* Bytes of a member.  Where all of it was read in order, its checksum is held against them: libzip
 * does so on the read that finds the end. */
static int read_member(struct torch_part *torch, uint64_t member, uint64_t at, void *to,
		       size_t bytes, struct err *err)
{
	unsigned char *out = to, past;

	if (open_member(torch, member, at, err)) {
		close_member(torch);
		return err->code;
	}
	while (bytes > 0) {
		zip_int64_t got = zip_fread(torch->file, out, bytes);

		if (got <= 0)
			return read_failed(torch, got, bytes, err);
		out += got;
		torch->file_at += (uint64_t)got;
		bytes -= (size_t)got;
	}
	if (torch->file_at == torch->file_bytes && zip_fread(torch->file, &past, 1) < 0)
		return read_failed(torch, -1, 0, err);
	return 0;
}

static void torch_close(struct checkpoint_part *part)
{
	struct torch_part *torch = (struct torch_part *)part;

	close_member(torch);
	if (torch->zip)
		zip_discard(torch->zip);
	free(part->path);
	free(torch);
}

static int torch_read(struct checkpoint_part *part, const struct checkpoint_entry *entry,
		      uint64_t from, void *to, size_t bytes, struct err *err)
{
	return read_member((struct torch_part *)part, entry->member, entry->at + from, to, bytes,
			   err);
}

static const struct checkpoint_part_ops torch_ops = {.read = torch_read, .close = torch_close};

/* What people have instead of a zip archive, told from its first bytes. */
static int check_magic(const unsigned char magic[8], const char *path, struct err *err)
{
	if (memcmp(magic, "PK\3\4", 4) == 0)
		return 0;
	if (magic[0] == 0x80)
		return err_set(err, ENOTSUP,
			       "%s: a bare pickle, as PyTorch wrote before 1.6, expected a zip "
			       "archive: load it with a newer PyTorch and save it again",
			       path);
	return err_set(
		err, EBADMSG,
		"%s: begins with bytes %02x %02x %02x %02x, expected a zip archive (50 4b 03 "
		"04)",
		path, magic[0], magic[1], magic[2], magic[3]);
}

/* Takes over 'fd'.  libzip's consistency checks hold the members' own headers against the
 * directory, and refuse a name that stands twice, of which programs would take different ones. */
static int open_archive(struct torch_part *torch, int fd, struct err *err)
{
	zip_error_t error;
	int code = 0;

	torch->zip = zip_fdopen(fd, ZIP_CHECKCONS, &code);
	if (torch->zip)
		return 0; /* it closed fd */
	zip_error_init_with_code(&error, code);
	err_set(err, code == ZIP_ER_MEMORY ? ENOMEM : EBADMSG, "%s: no whole zip archive: %s",
		torch->part.path,
		code == ZIP_ER_EXISTS ? "a member's name stands twice"
				      : zip_error_strerror(&error));
	zip_error_fini(&error);
	close(fd);
	return err->code;
}

static int open_zip(struct torch_part *torch, const char *path, struct err *err)
{
	unsigned char magic[8];
	uint64_t bytes;
	int fd;

	if (checkpoint_open_file(&fd, &bytes, path, err))
		return err->code;
	if (bytes < sizeof(magic))
		err_set(err, EBADMSG,
			"%s: %" PRIu64 " bytes, expected a zip archive: the file is cut off", path,
			bytes);
	else if (checkpoint_pread(fd, path, 0, magic, sizeof(magic), err) == 0 &&
		 check_magic(magic, path, err) == 0)
		return open_archive(torch, fd, err);
	close(fd);
	return err->code;
}

static int check_member_name(const char *name, uint64_t member, const char *path, struct err *err)
{
	if (!name || name[0] == '\0' || strlen(name) > MEMBER_NAME_MAX)
		return err_set(err, EBADMSG,
			       "%s: the name of member %" PRIu64 ": %zu bytes, expected 1 to %d",
			       path, member, name ? strlen(name) : 0, MEMBER_NAME_MAX);
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return err_set(err, EBADMSG,
				       "%s: the name of member %" PRIu64
				       " holds a control character",
				       path, member);
	return 0;
}

static int check_members(const struct torch_part *torch, struct err *err)
{
	zip_int64_t count = zip_get_num_entries(torch->zip, 0);

	if (count < 0 || count > MEMBERS_MAX)
		return err_set(err, EBADMSG, "%s: %" PRId64 " members, expected at most %d",
			       torch->part.path, (int64_t)count, MEMBERS_MAX);
	for (zip_uint64_t i = 0; i < (zip_uint64_t)count; i++)
		if (check_member_name(zip_get_name(torch->zip, i, ZIP_FL_ENC_RAW), i,
				      torch->part.path, err))
			return err->code;
	return 0;
}

/* The folder of data.pkl. */
static int find_prefix(struct torch_part *torch, struct err *err)
{
	static const char wanted[] = "/data.pkl";
	zip_uint64_t count = (zip_uint64_t)zip_get_num_entries(torch->zip, 0);

	for (zip_uint64_t i = 0; i < count; i++) {
		const char *name = zip_get_name(torch->zip, i, ZIP_FL_ENC_RAW);
		const char *slash = strchr(name, '/');

		if (!slash || strcmp(slash, wanted) != 0)
			continue;
		if (torch->prefix[0])
			return err_set(err, EBADMSG,
				       "%s: both %s/data.pkl and %s, expected one data.pkl",
				       torch->part.path, torch->prefix, name);
		memcpy(torch->prefix, name, (size_t)(slash - name));
	}
	if (!torch->prefix[0])
		return err_set(err, EBADMSG, "%s: no member */data.pkl, as torch.save() writes it",
			       torch->part.path);
	return 0;
}

/* -1 when there is no such member. */
static zip_int64_t locate(const struct torch_part *torch, const char *folder, const char *name)
{
	char full[MEMBER_NAME_MAX + 64];

	snprintf(full, sizeof(full), "%s/%s%s", torch->prefix, folder, name);
	return zip_name_locate(torch->zip, full, ZIP_FL_ENC_RAW);
}

static int stat_member(const struct torch_part *torch, zip_int64_t member, uint64_t *bytes,
		       struct err *err)
{
	zip_stat_t st;

	assert(member >= 0);
	zip_stat_init(&st);
	if (zip_stat_index(torch->zip, (zip_uint64_t)member, 0, &st) != 0 ||
	    (st.valid & (ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_NAME)) !=
		    (ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_NAME))
		return err_set(err, EBADMSG, "%s: cannot look at member %" PRId64 ": %s",
			       torch->part.path, (int64_t)member, zip_strerror(torch->zip));
	if (st.comp_method != ZIP_CM_STORE)
		return err_set(
			err, ENOTSUP,
			"%s: member '%s' is compressed (method %u), expected a stored one, as "
			"torch.save() writes it",
			torch->part.path, st.name, (unsigned)st.comp_method);
	if ((st.valid & ZIP_STAT_ENCRYPTION_METHOD) && st.encryption_method != ZIP_EM_NONE)
		return err_set(err, ENOTSUP, "%s: member '%s' is encrypted, expected a plain one",
			       torch->part.path, st.name);
	*bytes = st.size;
	return 0;
}

/* A small member whole, to be freed. */
static int read_whole(struct torch_part *torch, zip_int64_t member, uint64_t most,
		      unsigned char **out, size_t *out_bytes, struct err *err)
{
	uint64_t bytes;

	*out = NULL;
	if (stat_member(torch, member, &bytes, err))
		return err->code;
	if (bytes > most)
		return err_set(err, EBADMSG,
			       "%s: member '%s' of %" PRIu64 " bytes, expected at most %" PRIu64,
			       torch->part.path, zip_get_name(torch->zip, (zip_uint64_t)member, 0),
			       bytes, most);
	*out = malloc(bytes + 1);
	if (!*out)
		return err_nomem(err, "a member of a PyTorch file", bytes + 1);
	*out_bytes = (size_t)bytes;
	return read_member(torch, (uint64_t)member, 0, *out, (size_t)bytes, err);
}

static int check_kind(struct torch_part *torch, struct err *err)
{
	zip_int64_t order = locate(torch, "", "byteorder");
	unsigned char *text;
	size_t bytes;

	if (locate(torch, "", "constants.pkl") >= 0)
		return err_set(err, ENOTSUP,
			       "%s: a TorchScript archive, expected a state dict as torch.save() "
			       "writes it",
			       torch->part.path);
	if (order < 0)
		return 0; /* before 2.1 nobody said, and all machines were little-endian */
	if (!read_whole(torch, order, BYTEORDER_MAX, &text, &bytes, err) &&
	    (bytes != 6 || memcmp(text, "little", 6) != 0))
		err_set(err, bytes == 3 && memcmp(text, "big", 3) == 0 ? ENOTSUP : EBADMSG,
			"%s: member '%s/byteorder' is not 'little'", torch->part.path,
			torch->prefix);
	free(text);
	return err->code;
}

static int add_tensor(struct checkpoint *checkpoint, struct torch_part *torch,
		      const struct pickle_tensor *from, struct err *err)
{
	struct checkpoint_entry entry = {
		.part = &torch->part, .tensor = from->tensor, .at = from->storage_at_bytes};
	zip_int64_t member = locate(torch, "data/", from->storage);
	uint64_t bytes;

	if (member < 0)
		return err_set(
			err, EBADMSG,
			"%s: tensor '%s': member '%s/data/%s' is missing, expected its bytes "
			"there",
			torch->part.path, from->tensor.name, torch->prefix, from->storage);
	if (stat_member(torch, member, &bytes, err))
		return err->code;
	if (bytes != from->storage_bytes)
		return err_set(err, EBADMSG,
			       "%s: tensor '%s': member '%s/data/%s' has %" PRIu64
			       " bytes, expected %" PRIu64,
			       torch->part.path, from->tensor.name, torch->prefix, from->storage,
			       bytes, from->storage_bytes);
	entry.member = (uint64_t)member;
	return checkpoint_add(checkpoint, &entry, err);
}

static int read_state_dict(struct checkpoint *checkpoint, struct torch_part *torch, struct err *err)
{
	struct pickle_tensors tensors = {.items = NULL};
	unsigned char *pickle;
	size_t bytes;

	if (!read_whole(torch, locate(torch, "", "data.pkl"), PICKLE_MAX, &pickle, &bytes, err) &&
	    !pickle_read(&tensors, pickle, bytes, torch->part.path, err))
		for (size_t i = 0; i < tensors.count && !err->code; i++)
			(void)add_tensor(checkpoint, torch, &tensors.items[i], err);
	pickle_fini(&tensors);
	free(pickle);
	return err->code;
}

int checkpoint_read_torch(struct checkpoint *checkpoint, const char *path, struct err *err)
{
	struct torch_part *torch = calloc(1, sizeof(*torch));
	char *copy = strdup(path);

	if (!torch || !copy) {
		free(torch);
		free(copy);
		return err_nomem(err, "an open PyTorch file", sizeof(*torch) + strlen(path));
	}
	torch->part = (struct checkpoint_part){.ops = &torch_ops, .path = copy};
	if (checkpoint_keep(checkpoint, &torch->part, err) || open_zip(torch, path, err) ||
	    check_members(torch, err) || find_prefix(torch, err) || check_kind(torch, err))
		return err->code;
	return read_state_dict(checkpoint, torch, err);
}
