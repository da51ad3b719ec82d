/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aead-bench: TSC cycles per packet of every implementation in one run.
 *
 * The implementations take turns in short windows, so that a busy machine or a change of clock
 * disturbs all of them alike; what is printed is the median of the windows and how far the 10th
 * and 90th percentile lie from it. Ratios within one run compare machines, cycles do not.
 *
 * A window holds a few bursts over different packets: warm ones fit the second-level cache and
 * are met again in each window, cold ones walk through 96 MiB and are flushed to memory before.
 * Sealing and opening are in place, as the gateway does it; what a window destroys is restored
 * outside it.
 */
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

#include "dataplane/aead/aead.h"

enum {
	IMPLEMENTATIONS_MAX = 16,
	LIST_MAX = 32,
	ROUNDS_MAX = 1001,
	WARM_BYTES = 128 << 10,
	COLD_BYTES = 96 << 20,
	BACKUP_BYTES = 24 << 20, /* a burst of 256 of the longest packets */
	WINDOW_PACKETS_MAX = 1024,
	IMIX = -1, /* a size: seven of 64, four of 570, one of 1420 */
	IMIX_PERIOD = 12,
};

struct implementation {
	const char *name;
	struct aead *aead;
	uint32_t cycles[ROUNDS_MAX]; /* of a window */
};

struct options {
	const char *impls; /* comma separated, NULL for all */
	int sizes[LIST_MAX], bursts[LIST_MAX];
	unsigned n_sizes, n_bursts, rounds;
	bool seal, open, warm, cold, json, core;
};

/* What one window works on. */
struct window {
	struct aead_packet packets[WINDOW_PACKETS_MAX];
	unsigned n, burst;
	int size;
	bool opening, cold, core;
};

static struct implementation impls[IMPLEMENTATIONS_MAX];
static unsigned n_impls;
static uint8_t *arena;  /* COLD_BYTES: where packets lie */
static uint8_t *backup; /* what a warm window is restored from */
static uint8_t keys[WINDOW_PACKETS_MAX][AEAD_KEY_SIZE];
static size_t cold_at;
static uint32_t overhead; /* of reading the counter twice */
static bool first_result = true;

static inline uint64_t read_start(void)
{
	_mm_lfence();
	return __rdtsc();
}

static inline uint64_t read_end(void)
{
	unsigned aux;
	uint64_t t = __rdtscp(&aux);

	_mm_lfence();
	return t;
}

static uint32_t length_of(int size, unsigned i)
{
	static const uint16_t imix[IMIX_PERIOD] = {
		64, 570, 64, 64, 570, 64, 1420, 64, 570, 64, 64, 570};

	return size == IMIX ? imix[i % IMIX_PERIOD] : (uint32_t)size;
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void measure_overhead(void)
{
	static uint32_t rows[ROUNDS_MAX];

	for (unsigned i = 0; i < ROUNDS_MAX; i++) {
		uint64_t start = read_start();

		rows[i] = (uint32_t)(read_end() - start);
	}
	qsort(rows, ROUNDS_MAX, sizeof(rows[0]), compare_u32);
	overhead = rows[ROUNDS_MAX / 2];
}

/* Slots are a multiple of 64 bytes plus 14 + 20 + 8 + 16: where WireGuard's data begin. */
static size_t slot_of(int size)
{
	uint32_t longest = size == IMIX ? 1420 : (uint32_t)size;

	return (58 + longest + AEAD_TAG_SIZE + 63 + 128) / 64 * 64;
}

static void plan_window(struct window *w)
{
	size_t bytes = (size_t)w->burst * slot_of(w->size);
	unsigned bursts = (unsigned)(WARM_BYTES / bytes);

	if (bursts * w->burst > WINDOW_PACKETS_MAX)
		bursts = WINDOW_PACKETS_MAX / w->burst;
	if (bursts > 32)
		bursts = 32;
	if (w->size == IMIX && w->burst * bursts > IMIX_PERIOD) {
		while (bursts > 1 && w->burst * bursts % IMIX_PERIOD != 0)
			bursts--;
	}
	w->n = w->burst * (bursts > 0 ? bursts : 1);
}

/* Places the packets; cold windows move on through the arena. */
static void place(struct window *w)
{
	size_t slot = slot_of(w->size), need = slot * w->n, base = 0;

	if (w->cold) {
		if (cold_at + need > COLD_BYTES)
			cold_at = 0;
		base = cold_at;
		cold_at += need;
	}
	for (unsigned i = 0; i < w->n; i++) {
		uint8_t *data = arena + base + i * slot + 58;

		w->packets[i] = (struct aead_packet){
			.key = keys[i],
			.counter = i + 1,
			.src = data,
			.dst = data,
			.length = length_of(w->size, i),
		};
	}
}

static void reseal(struct aead *aead, struct window *w)
{
	for (unsigned i = 0; i < w->n; i += w->burst)
		aead_seal(aead, w->packets + i, w->burst);
}

/* A last-level cache may hold the whole arena, and opening needs it sealed just before. */
static void chill(const struct window *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		const uint8_t *data = w->packets[i].dst;

		for (size_t at = 0; at < w->packets[i].length + AEAD_TAG_SIZE + 64u; at += 64)
			_mm_clflush(data + at);
	}
	_mm_mfence();
}

/* Cycles of the core to one of the TSC, by a chain of multiplications, which take three each. */
static double measure_clock(void)
{
	enum { LINKS = 1600, LATENCY = 3 };
	uint64_t product = 3, start = read_start();

	for (unsigned i = 0; i < LINKS / 4; i++)
		__asm__ volatile("imulq %0, %0\n\timulq %0, %0\n\timulq %0, %0\n\timulq %0, %0"
				 : "+r"(product));
	return (double)LINKS * LATENCY / (double)(read_end() - start - overhead);
}

static uint32_t run_window(struct implementation *impl, struct window *w)
{
	uint64_t start, took;

	place(w);
	if (w->opening && w->cold)
		reseal(impls[0].aead, w);
	else if (w->opening)
		memcpy(arena, backup, slot_of(w->size) * w->n);
	if (w->cold)
		chill(w);
	start = read_start();
	for (unsigned i = 0; i < w->n; i += w->burst) {
		if (w->opening)
			aead_open(impl->aead, w->packets + i, w->burst);
		else
			aead_seal(impl->aead, w->packets + i, w->burst);
	}
	took = read_end() - start;
	took = took > overhead ? took - overhead : 0;
	if (w->core)
		took = (uint64_t)((double)took * measure_clock());
	for (unsigned i = 0; w->opening && i < w->n; i++) {
		if (!w->packets[i].ok) {
			fprintf(stderr, "aead-bench: %s refuses a genuine packet\n", impl->name);
			exit(1);
		}
	}
	return (uint32_t)took;
}

static void print_header(const struct options *o)
{
	if (o->json)
		printf("{\"unit\":\"%s cycles\",\"results\":[", o->core ? "core" : "TSC");
	else
		printf("%-14s %-5s %6s %6s %5s %10s %8s %8s %8s %8s\n", "impl", "op", "bytes",
			"burst", "cold", "cyc/packet", "p10", "p90", "cyc/B", "/first");
}

static void print_result(
	const struct options *o, const struct window *w, const struct implementation *impl)
{
	static double reference;
	double packets = w->n, median = impl->cycles[o->rounds / 2] / packets;
	double low = impl->cycles[o->rounds / 10] / packets;
	double high = impl->cycles[o->rounds - 1 - o->rounds / 10] / packets;
	double bytes = 0;
	char size[16];

	for (unsigned i = 0; i < w->n; i++)
		bytes += w->packets[i].length;
	bytes /= packets;
	if (impl == impls)
		reference = median;
	if (o->json) {
		snprintf(size, sizeof(size), w->size == IMIX ? "\"imix\"" : "%d", w->size);
		printf("%s\n{\"impl\":\"%s\",\"op\":\"%s\",\"bytes\":%s,\"burst\":%u,\"cold\":%s,"
		       "\"cycles_per_packet\":%.1f,\"p10\":%.1f,\"p90\":%.1f,"
		       "\"cycles_per_byte\":%.4f,\"rounds\":%u}",
			first_result ? "" : ",", impl->name, w->opening ? "open" : "seal", size,
			w->burst, w->cold ? "true" : "false", median, low, high,
			bytes > 0 ? median / bytes : 0.0, o->rounds);
		first_result = false;
		return;
	}
	snprintf(size, sizeof(size), w->size == IMIX ? "imix" : "%d", w->size);
	printf("%-14s %-5s %6s %6u %5s %10.1f %8.1f %8.1f %8.3f %8.3f\n", impl->name,
		w->opening ? "open" : "seal", size, w->burst, w->cold ? "cold" : "warm", median,
		low, high, bytes > 0 ? median / bytes : 0.0, median / reference);
}

static void run_case(const struct options *o, struct window *w)
{
	plan_window(w);
	place(w);
	if (w->opening) {
		reseal(impls[0].aead, w);
		memcpy(backup, arena, slot_of(w->size) * w->n);
	}
	/* The first two rounds warm caches and clocks and are overwritten. */
	for (unsigned round = 0; round < o->rounds + 2; round++) {
		for (unsigned i = 0; i < n_impls; i++)
			impls[i].cycles[round < 2 ? 0 : round - 2] = run_window(&impls[i], w);
	}
	for (unsigned i = 0; i < n_impls; i++) {
		qsort(impls[i].cycles, o->rounds, sizeof(impls[i].cycles[0]), compare_u32);
		print_result(o, w, &impls[i]);
	}
	fflush(stdout);
}

static void run_all(const struct options *o)
{
	static struct window w;

	print_header(o);
	for (unsigned cold = 0; cold < 2; cold++) {
		if (cold ? !o->cold : !o->warm)
			continue;
		for (unsigned op = 0; op < 2; op++) {
			if (op ? !o->open : !o->seal)
				continue;
			for (unsigned s = 0; s < o->n_sizes; s++) {
				for (unsigned b = 0; b < o->n_bursts; b++) {
					w.cold = cold;
					w.opening = op;
					w.core = o->core;
					w.size = o->sizes[s];
					w.burst = (unsigned)o->bursts[b];
					run_case(o, &w);
				}
			}
		}
	}
	if (o->json)
		printf("\n]}\n");
}

static bool is_listed(const char *list, const char *name)
{
	size_t size = strlen(name);

	for (const char *at = list; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, name, size) == 0 && (at[size] == ',' || at[size] == 0))
			return true;
	}
	return false;
}

static int open_implementation(const char *name)
{
	int error = aead_select(strcmp(name, "auto") == 0 ? NULL : name);

	if (error != 0)
		return error;
	impls[n_impls].name = name;
	impls[n_impls].aead = aead_create(&error);
	if (!impls[n_impls].aead)
		return error;
	n_impls++;
	return 0;
}

/* ipsec-mb goes first, if it is there: it is what the others are compared with. */
static int open_implementations(const char *list)
{
	const char *name;

	if (!list || is_listed(list, "ipsec-mb"))
		(void)!open_implementation("ipsec-mb");
	for (unsigned i = 0; (name = aead_name_at(i)) != NULL; i++) {
		if (strcmp(name, "ipsec-mb") == 0 || (list && !is_listed(list, name)))
			continue;
		if (open_implementation(name) != 0)
			fprintf(stderr, "aead-bench: %s: not on this machine\n", name);
	}
	if (!list || is_listed(list, "auto")) {
		(void)!open_implementation("auto");
		fprintf(stderr, "aead-bench: auto is %s\n", aead_description());
	}
	return n_impls > 0 ? 0 : -1;
}

static unsigned parse_list(const char *text, int *out, int low, int high)
{
	unsigned n = 0;
	char *end;

	for (; *text && n < LIST_MAX; text = *end ? end + 1 : end) {
		long value;

		if (low == 0 && strncmp(text, "imix", 4) == 0) {
			out[n++] = IMIX;
			end = (char *)text + 4;
			continue;
		}
		value = strtol(text, &end, 10);
		if (end == text || value < low || value > high)
			return 0;
		out[n++] = (int)value;
	}
	return n;
}

static void print_usage(void)
{
	puts("usage: aead-bench [options]\n"
	     "  --impl=A,B     implementations; auto is what a gateway chooses (all)\n"
	     "  --size=N,...   plaintext bytes, or imix (0,64,...,8920,imix)\n"
	     "  --burst=N,...  packets in one call, 1..256 (1,4,8,16,32,64,256)\n"
	     "  --op=seal|open (both)\n"
	     "  --cache=warm|cold (both)\n"
	     "  --rounds=N     windows for each figure, 11..1001 (101)\n"
	     "  --core         cycles of the core, measured beside each window, not of the TSC\n"
	     "  --json         one JSON object instead of a table\n"
	     "Each figure is the median window, in TSC cycles per packet; the last column is the\n"
	     "ratio to the first implementation listed, which is ipsec-mb where it was built in.");
}

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option rows[] = {
		{"impl", required_argument, NULL, 'i'},
		{"size", required_argument, NULL, 's'},
		{"burst", required_argument, NULL, 'b'},
		{"op", required_argument, NULL, 'o'},
		{"cache", required_argument, NULL, 'c'},
		{"rounds", required_argument, NULL, 'r'},
		{"core", no_argument, NULL, 'k'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option, rounds = 101;

	o->n_sizes = parse_list("0,64,128,256,512,1024,1280,1420,8920,imix", o->sizes, 0, 65535);
	o->n_bursts = parse_list("1,4,8,16,32,64,256", o->bursts, 1, AEAD_BURST_MAX);
	o->seal = o->open = o->warm = o->cold = true;
	while ((option = getopt_long(argc, argv, "", rows, NULL)) != -1) {
		if (option == 'i')
			o->impls = optarg;
		else if (option == 's')
			o->n_sizes = parse_list(optarg, o->sizes, 0, AEAD_LENGTH_MAX);
		else if (option == 'b')
			o->n_bursts = parse_list(optarg, o->bursts, 1, AEAD_BURST_MAX);
		else if (option == 'o' && strcmp(optarg, "seal") == 0)
			o->open = false;
		else if (option == 'o' && strcmp(optarg, "open") == 0)
			o->seal = false;
		else if (option == 'c' && strcmp(optarg, "warm") == 0)
			o->cold = false;
		else if (option == 'c' && strcmp(optarg, "cold") == 0)
			o->warm = false;
		else if (option == 'r')
			rounds = atoi(optarg);
		else if (option == 'j')
			o->json = true;
		else if (option == 'k')
			o->core = true;
		else
			return -1;
	}
	o->rounds = (unsigned)rounds;
	if (rounds < 11 || rounds > ROUNDS_MAX || o->n_sizes == 0 || o->n_bursts == 0)
		return -1;
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {0};

	if (parse_options(argc, argv, &o) != 0) {
		print_usage();
		return 2;
	}
	if (sodium_init() < 0 || open_implementations(o.impls) != 0) {
		fprintf(stderr, "aead-bench: no implementation\n");
		return 1;
	}
	arena = aligned_alloc(4096, COLD_BYTES);
	backup = aligned_alloc(4096, BACKUP_BYTES);
	if (!arena || !backup) {
		fprintf(stderr, "aead-bench: out of memory\n");
		return 1;
	}
	memset(arena, 1, COLD_BYTES);
	memset(backup, 1, BACKUP_BYTES);
	randombytes_buf(keys, sizeof(keys));
	measure_overhead();
	run_all(&o);
	while (n_impls > 0)
		aead_destroy(&impls[--n_impls].aead);
	free(arena);
	free(backup);
	return 0;
}
