/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The main of a fuzz target that is built without libFuzzer: runs each file of
 * the command line once, from a buffer of exactly its size.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	long size = -1;
	int err = 1;

	if (file && fseek(file, 0, SEEK_END) == 0)
		size = ftell(file);
	if (size >= 0)
		data = malloc(size ? (size_t)size : 1);
	if (data) {
		rewind(file);
		if (fread(data, 1, (size_t)size, file) == (size_t)size)
			err = LLVMFuzzerTestOneInput(data, (size_t)size);
	}
	free(data);
	if (file)
		fclose(file);
	if (err)
		fprintf(stderr, "%s: cannot be replayed\n", path);
	return err;
}

int
main(int argc, char **argv)
{
	int err = 0;

	for (int i = 1; i < argc && !err; i++)
		err = replay(argv[i]);
	return err;
}
