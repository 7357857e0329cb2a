/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_mangled.c - hazard: damage that nobody thought of.  Good files, cut and flipped at random,
 * either fail with a message or give tensors that can be read within the file */
#include "files.h"
#include "pickle.h"
#include "pickles.h"
#include "rng.h"

enum { TRIES = 600 };

/* clang-format off */
static const struct {
	const char *from, *name;
} good[] = {
	{"safetensors-bf16/model.safetensors", "model.safetensors"},
	{"safetensors-sharded/model.safetensors.index.json", "model.safetensors.index.json"},
	{"torch-module/pytorch_model.bin", "pytorch_model.bin"},
	{"torch-views/pytorch_model.bin", "pytorch_model.bin"},
	{"torch-parameters/pytorch_model.bin", "pytorch_model.bin"},
	{"torch-sharded/pytorch_model.bin.index.json", "pytorch_model.bin.index.json"},
};
/* clang-format on */

/* Some bytes change; now and then the end is cut off, or a piece stands elsewhere. */
static size_t mangle(unsigned char *bytes, size_t size, struct rng *rng)
{
	uint32_t flips = 1 + rng_below(rng, 2);

	for (uint32_t i = 0; i < flips; i++) {
		size_t at = rng_below(rng, (uint32_t)size);

		if (rng_below(rng, 2))
			bytes[at] ^= (unsigned char)(1 << rng_below(rng, 8));
		else
			bytes[at] = (unsigned char)rng_next(rng);
	}
	if (rng_below(rng, 8) == 0 && size > 64)
		memmove(bytes + rng_below(rng, (uint32_t)size - 32),
			bytes + rng_below(rng, (uint32_t)size - 32), 32);
	return rng_below(rng, 4) == 0 ? rng_below(rng, (uint32_t)size) : size;
}

/* Whatever was listed can be asked for. */
static void read_all(struct checkpoint *checkpoint, uint64_t most)
{
	ck_assert_uint_gt(checkpoint_tensor_count(checkpoint), 0);
	for (size_t i = 0; i < checkpoint_tensor_count(checkpoint); i++) {
		const struct checkpoint_tensor *tensor = checkpoint_tensor_at(checkpoint, i);
		struct err err = {0};
		unsigned char *bytes;

		ck_assert_msg(tensor->bytes <= most, "tensor '%s': %ju bytes in a file of %ju",
			      tensor->name, (uintmax_t)tensor->bytes, (uintmax_t)most);
		bytes = malloc(tensor->bytes ? tensor->bytes : 1);
		ck_assert_ptr_nonnull(bytes);
		if (checkpoint_read(checkpoint, tensor, 0, bytes, tensor->bytes, &err))
			ck_assert_str_ne(err.msg, "");
		free(bytes);
	}
}

/* All of a fixture's folder, so that an index finds its shards. */
static void copy_folder(const char *fixture)
{
	char folder[FILES_PATH / 2], path[FILES_PATH];
	DIR *stream;

	snprintf(folder, sizeof(folder), "%s/%s", FIXTURES, fixture);
	*strrchr(folder, '/') = '\0';
	stream = opendir(folder);
	ck_assert_ptr_nonnull(stream);
	for (const struct dirent *e = readdir(stream); e; e = readdir(stream)) {
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		if (e->d_name[0] != '.')
			file_copy(path, e->d_name);
	}
	closedir(stream);
}

START_TEST(a_mangled_file_is_refused_or_read)
{
	struct rng rng = {.state = 1000 + (uint64_t)_i};
	unsigned opened = 0, refused = 0;
	unsigned char *file, *copy;
	char path[FILES_PATH];
	size_t size;

	snprintf(path, sizeof(path), "%s/%s", FIXTURES, good[_i].from);
	file = file_slurp(path, &size);
	copy = malloc(size);
	ck_assert_ptr_nonnull(copy);
	copy_folder(good[_i].from);
	for (unsigned i = 0; i < TRIES; i++) {
		struct checkpoint *checkpoint;
		struct err err = {0};

		memcpy(copy, file, size);
		file_spit(good[_i].name, copy, mangle(copy, size, &rng));
		if (checkpoint_open(&checkpoint, dir, &err) == 0) {
			read_all(checkpoint, 1 << 16);
			opened++;
		} else {
			ck_assert_int_ne(err.code, 0);
			ck_assert_str_ne(err.msg, "");
			refused++;
		}
		checkpoint_close(checkpoint);
	}
	ck_assert_uint_gt(refused, TRIES / 10);
	ck_assert_uint_gt(opened, 0); /* what was hit says nothing: data, spaces, a total */
	free(copy);
	free(file);
}
END_TEST

/* Without the archive's checksum in front of it. */
START_TEST(a_mangled_pickle_is_refused_or_read)
{
	static const char good_pickle[] = GOOD_PICKLE;
	unsigned char copy[sizeof(good_pickle) - 1];
	struct rng rng = {.state = 77};
	unsigned opened = 0;

	for (unsigned i = 0; i < 100 * TRIES; i++) {
		struct pickle_tensors tensors;
		struct err err = {0};
		size_t size;

		memcpy(copy, good_pickle, sizeof(copy));
		size = mangle(copy, sizeof(copy), &rng);
		opened += pickle_read(&tensors, copy, size, "x.bin", &err) == 0;
		for (size_t t = 0; t < tensors.count && !err.code; t++)
			ck_assert_uint_le(tensors.items[t].storage_at_bytes +
						  tensors.items[t].tensor.bytes,
					  tensors.items[t].storage_bytes);
		pickle_fini(&tensors);
	}
	ck_assert_uint_gt(opened, 0);
	ck_assert_uint_lt(opened, 100 * TRIES / 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mangled");
	TCase *tcase = tcase_create("mangled");

	tcase_add_checked_fixture(tcase, files_setup, files_teardown);
	tcase_add_loop_test(tcase, a_mangled_file_is_refused_or_read, 0,
			    sizeof(good) / sizeof(good[0]));
	tcase_add_test(tcase, a_mangled_pickle_is_refused_or_read);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
