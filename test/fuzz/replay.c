/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stands in for libFuzzer in builds without it, so that the targets are built and run with the
 * unit tests: each file of a corpus, and then as many inputs as the second argument says that are
 * made of those by a fixed seed: bytes changed, cut, repeated, or all of them invented.
 *
 *   fuzz_TARGET CORPUS INPUTS
 */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 64, SIZE_MAX_OF_INPUT = 4096, CHANGES_MAX = 8 };

int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	size_t size;
	uint8_t bytes[SIZE_MAX_OF_INPUT];
};

static struct input corpus[FILES_MAX];
static unsigned corpus_count;

static uint64_t next_random(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 16;
}

/* Of its exact size, so that sanitizers see what reads past it. */
static void run(const struct input *input)
{
	uint8_t *copy = malloc(input->size + (input->size == 0));

	if (copy == NULL)
		abort();
	memcpy(copy, input->bytes, input->size);
	LLVMFuzzerTestOneInput(copy, input->size);
	free(copy);
}

static void read_corpus(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	char path[PATH_MAX];

	if (dir == NULL) {
		perror(folder);
		exit(1);
	}
	while (corpus_count < FILES_MAX && (entry = readdir(dir)) != NULL) {
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		file = fopen(path, "re");
		if (file == NULL) {
			perror(path);
			exit(1);
		}
		corpus[corpus_count].size =
			fread(corpus[corpus_count].bytes, 1, SIZE_MAX_OF_INPUT, file);
		corpus_count++;
		fclose(file);
	}
	closedir(dir);
}

static int compare(const void *left, const void *right)
{
	const struct input *a = left, *b = right;

	return a->size != b->size ? (a->size > b->size) - (a->size < b->size)
				  : memcmp(a->bytes, b->bytes, a->size);
}

static void invent(struct input *input)
{
	input->size = next_random() % 512;
	for (size_t i = 0; i < input->size; i++)
		input->bytes[i] = (uint8_t)next_random();
}

static void change(struct input *input)
{
	size_t at = next_random() % input->size, length = next_random() % (input->size - at) + 1;

	switch (next_random() % 4) {
	case 0:
		input->bytes[at] ^= (uint8_t)(1U << next_random() % 8);
		break;
	case 1:
		input->bytes[at] = (uint8_t)next_random();
		break;
	case 2:
		input->size = at + 1;
		break;
	default:
		if (input->size + length > SIZE_MAX_OF_INPUT)
			break;
		memcpy(input->bytes + input->size, input->bytes + at, length);
		input->size += length;
	}
}

static void make(struct input *input)
{
	if (corpus_count == 0 || next_random() % 8 == 0) {
		invent(input);
		return;
	}
	*input = corpus[next_random() % corpus_count];
	for (uint64_t n = next_random() % CHANGES_MAX + 1; n != 0 && input->size != 0; n--)
		change(input);
}

int main(int argc, char **argv)
{
	static struct input input;
	unsigned long inputs;

	if (argc != 3) {
		fprintf(stderr, "usage: %s CORPUS INPUTS\n", argv[0]);
		return 2;
	}
	inputs = strtoul(argv[2], NULL, 10);
	read_corpus(argv[1]);
	qsort(corpus, corpus_count, sizeof(corpus[0]), compare); /* folders have no order */
	if (LLVMFuzzerInitialize != NULL)
		LLVMFuzzerInitialize(&argc, &argv);
	for (unsigned i = 0; i < corpus_count; i++)
		run(&corpus[i]);
	for (unsigned long i = 0; i < inputs; i++) {
		make(&input);
		run(&input);
	}
	printf("%u files and %lu inputs made of them\n", corpus_count, inputs);
	return 0;
}
