/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The filter is compiled here, by libpcap, once for Ethernet frames and once for IP packets: it is
 * the user's text, and names in it may have to be resolved, neither of which is for the daemon.
 * What comes is written in whole pcapng blocks, so that the file is good whenever it ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/cli/cli.h"

enum {
	SNAP_MAX = 9216,
	BLOCK_MAX = 1 << 20, /* the daemon makes none that is nearly so long */
	PACKET_BLOCK = 6,
	STATISTICS_BLOCK = 5,
	STATISTICS_DROPPED_AT = 24, /* where the daemon puts the number */
	CODE_MAX = 512,
};

struct writer {
	int fd;
	uint8_t *block; /* what there is of the next one */
	size_t n;
	uint64_t packets, lost;
	int error; /* errno of a write */
};

static json_t *program_json(const struct bpf_program *program)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < program->bf_len; i++) {
		const struct bpf_insn *insn = &program->bf_insns[i];

		json_array_append_new(
			list, json_pack("[i, i, i, I]", (int)insn->code, (int)insn->jt,
				      (int)insn->jf, (json_int_t)insn->k));
	}
	return list;
}

/* NULL after `error` has been filled. */
static json_t *compile(const char *text, int link_type, char error[256])
{
	pcap_t *pcap = pcap_open_dead(link_type, SNAP_MAX);
	struct bpf_program program;
	json_t *json = NULL;

	if (pcap == NULL) {
		snprintf(error, 256, "out of memory");
		return NULL;
	}
	if (pcap_compile(pcap, &program, text, 1, PCAP_NETMASK_UNKNOWN) != 0) {
		snprintf(error, 256, "%s", pcap_geterr(pcap));
	} else {
		if (program.bf_len <= CODE_MAX)
			json = program_json(&program);
		else
			snprintf(error, 256, "too long: %u instructions of %d", program.bf_len,
				CODE_MAX);
		pcap_freecode(&program);
	}
	pcap_close(pcap);
	return json;
}

/* A program that matches nothing: for packets that the filter cannot apply to. */
static json_t *match_nothing(void)
{
	return json_pack("[[i, i, i, i]]", BPF_RET | BPF_K, 0, 0, 0);
}

static json_t *compile_filter(struct cli *cli)
{
	char text[4096] = "", error[256];
	json_t *ethernet, *ip;

	for (int i = 0; i < cli->n_args; i++) {
		if (strlen(text) + strlen(cli->args[i]) + 2 > sizeof(text)) {
			fputs("sallyport: the filter is too long\n", stderr);
			return NULL;
		}
		strcat(strcat(text, i == 0 ? "" : " "), cli->args[i]);
	}
	if (text[0] == '\0')
		return json_object();
	ethernet = compile(text, DLT_EN10MB, error);
	if (ethernet == NULL) {
		fprintf(stderr, "sallyport: filter '%s': %s\nMore: man pcap-filter\n", text, error);
		return NULL;
	}
	/* "ether host ..." means nothing for a packet without a frame. */
	ip = compile(text, DLT_RAW, error);
	return json_pack(
		"{s:o, s:o}", "ethernet", ethernet, "ip", ip == NULL ? match_nothing() : ip);
}

static uint32_t word(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

static bool write_all(struct writer *w, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = write(w->fd, w->block + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			w->error = errno;
			return false;
		}
		done += (size_t)n;
	}
	return true;
}

/* Writes the whole blocks that there are; what is left stays. */
static bool take(const void *bytes, size_t size, void *arg)
{
	struct writer *w = arg;
	size_t whole = 0;

	if (w->n + size > 2 * BLOCK_MAX)
		return false;
	memcpy(w->block + w->n, bytes, size);
	w->n += size;
	while (w->n - whole >= 12) {
		const uint8_t *block = w->block + whole;
		uint32_t length = word(block + 4);

		if (length < 12 || length > BLOCK_MAX || w->n - whole < length)
			break;
		if (word(block) == PACKET_BLOCK)
			w->packets++;
		if (word(block) == STATISTICS_BLOCK && length >= STATISTICS_DROPPED_AT + 8)
			memcpy(&w->lost, block + STATISTICS_DROPPED_AT, sizeof(w->lost));
		whole += length;
	}
	if (!write_all(w, whole))
		return false;
	memmove(w->block, w->block + whole, w->n - whole);
	w->n -= whole;
	return true;
}

static int open_output(struct cli *cli)
{
	int fd;

	if (cli->write != NULL && strcmp(cli->write, "-") != 0) {
		/* Packets are nobody else's business. */
		fd = open(cli->write, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0)
			fprintf(stderr, "sallyport: %s: %s\n", cli->write, strerror(errno));
		return fd;
	}
	if (isatty(STDOUT_FILENO) == 1) {
		fputs("sallyport: this is a terminal, and a capture is no text; try\n"
		      "  sallyport capture -w FILE\n  sallyport capture | tshark -r -\n",
			stderr);
		return -1;
	}
	return STDOUT_FILENO;
}

static void summarise(struct cli *cli, const struct writer *w)
{
	if (cli->json && w->fd != STDOUT_FILENO)
		cli_print_json_new(json_pack("{s:I, s:I}", "packets", (json_int_t)w->packets,
			"lost", (json_int_t)w->lost));
	else
		fprintf(stderr, "%" PRIu64 " packets, %" PRIu64 " lost for want of room\n",
			w->packets, w->lost);
}

static int run(struct cli *cli, json_t *question)
{
	struct writer w = {.fd = open_output(cli)};
	char *text = json_dumps(question, JSON_COMPACT);
	int code = CLI_USAGE;

	w.block = malloc(2 * BLOCK_MAX);
	if (w.fd >= 0 && text != NULL && w.block != NULL) {
		code = cli_stream(cli, "POST", "/api/capture", text, take, &w);
		if (code == CLI_OK)
			summarise(cli, &w);
		if (w.error != 0 && w.error != EPIPE) {
			fprintf(stderr, "sallyport: writing: %s\n", strerror(w.error));
			code = CLI_FAILED;
		}
	}
	if (w.fd > STDERR_FILENO)
		close(w.fd);
	free(w.block);
	free(text);
	return code;
}

int cli_run_capture(struct cli *cli)
{
	unsigned long count, snap;
	json_t *filter, *question;
	int code;

	if (!cli_number("count", cli->count, UINT32_MAX, 0, &count) ||
		!cli_number("snap", cli->snap, SNAP_MAX, SNAP_MAX, &snap))
		return CLI_USAGE;
	filter = compile_filter(cli);
	if (filter == NULL)
		return CLI_USAGE;
	question = json_pack("{s:o, s:I, s:I, s:b, s:s*, s:s*}", "filter", filter, "count",
		(json_int_t)count, "snap", (json_int_t)snap, "drops", (cli->given & CLI_DROPS) != 0,
		"peer", cli->peer, "port", cli->port);
	code = run(cli, question);
	json_decref(question);
	return code;
}
