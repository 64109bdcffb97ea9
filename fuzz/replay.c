// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * replay FILE...: hands each file to the target that this is linked with, as
 * libFuzzer does, and says so in TAP.  What does not hold aborts.
 */
#include <err.h>

#include "fuzz.h"

static void *read_file(const char *path, size_t *ret_size)
{
	FILE *file = fopen(path, "rb");
	size_t size = 0, got;
	char *content = NULL;

	if (!file)
		err(1, "%s", path);
	do {
		content = realloc(content, size + 65536);
		if (!content)
			err(1, "%s", path);
		got = fread(content + size, 1, 65536, file);
		size += got;
	} while (got);
	if (ferror(file))
		err(1, "%s", path);
	fclose(file);
	*ret_size = size;
	return content;
}

int main(int argc, char **argv)
{
	int i;

	if (argc < 2)
		errx(2, "usage: %s FILE...", argv[0]);
	printf("1..%d\n", argc - 1);
	for (i = 1; i < argc; i++) {
		size_t size;
		void *content = read_file(argv[i], &size);
		void *exact = fuzz_dup(content, size);

		free(content);
		printf("# %s\n", argv[i]);
		fflush(stdout);
		LLVMFuzzerTestOneInput(exact, size);
		free(exact);
		printf("ok %d - %s\n", i, argv[i]);
	}
	return 0;
}
