/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Versions from disk to store and back, with a program made here that takes or refuses whatever
 * it is given. A process that dies is a revision that is destroyed at that point.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "control/revision/revision.h"

#define OVERLAY "version: 1\nwireguard: {addresses: [100.64.0.1/24]}\n"
#define KEY     "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="
#define ONE     OVERLAY "groups: {one: {}}\n"
#define TWO     OVERLAY "groups: {two: {}}\n"
#define EDIT    OVERLAY "groups: {edit: {}}\n"
#define BROKEN  OVERLAY "grups: {}\n"
#define PEER    "peers: {anna: {public_key: " KEY ", addresses: [100.64.0.9]}}\n"

/* --- the program --- */

static struct model *running;
static struct compiled compiled;
static int refuse_with;

void program_apply(struct program *program, struct model *model, program_done *done, void *arg)
{
	struct program_result result = {.error = refuse_with, .text = "no"};

	if (refuse_with == 0) {
		model_destroy(&running);
		running = model;
		compiled.model = running;
	} else {
		model_destroy(&model);
	}
	done(&result, arg);
}

const struct compiled *program_compiled(const struct program *program)
{
	return running == NULL ? NULL : &compiled;
}

/* --- the rest of the process --- */

static char dir[64];
static struct event_base *base;
static struct store *store;
static struct revision *revision;
static struct revision_result last;
static char last_text[256];
static size_t last_errors;
static char last_kept[64];

static const char *path_of(const char *name)
{
	static char path[4][128];
	static unsigned next;
	char *text = path[next++ % 4];

	snprintf(text, sizeof(path[0]), "%s/%s", dir, name);
	return text;
}

static void write_text(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void assert_file(const char *name, const char *text)
{
	char buffer[1024] = "";
	FILE *file = fopen(path_of(name), "re");

	if (text == NULL) {
		assert_null(file);
		return;
	}
	assert_non_null(file);
	buffer[fread(buffer, 1, sizeof(buffer) - 1, file)] = '\0';
	fclose(file);
	assert_string_equal(buffer, text);
}

static void begin(void)
{
	struct revision_options options = {.state_dir = dir, .config_file = path_of("main.yaml")};
	int error;

	base = event_base_new();
	store = store_open(path_of("state.db"), &error);
	assert_non_null(store);
	options.base = base;
	options.store = store;
	revision = revision_create(&options);
}

static void die(void)
{
	revision_destroy(&revision);
	store_close(&store);
	event_base_free(base);
	model_destroy(&running);
}

static void started(const struct program_result *result, void *arg)
{
	assert_int_equal(result->error, refuse_with);
}

static int start(void)
{
	return revision_start(revision, false, started, NULL);
}

static int set_up(void **state)
{
	strcpy(dir, "/tmp/sp-revision-XXXXXX");
	assert_non_null(mkdtemp(dir));
	refuse_with = 0;
	write_text("main.yaml", ONE);
	begin();
	assert_int_equal(start(), 0);
	assert_int_equal(revision_state(revision).version, 1);
	return 0;
}

static int tear_down(void **state)
{
	char command[96];

	die();
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static void note(const struct revision_result *result, void *arg)
{
	last = *result;
	snprintf(last_text, sizeof(last_text), "%s", result->text);
	last_errors = result->diag == NULL ? 0 : diag_errors(result->diag);
	last_kept[0] = '\0';
	if (json_array_size(result->kept) > 0)
		snprintf(last_kept, sizeof(last_kept), "%s",
			json_string_value(json_array_get(result->kept, 0)));
}

static const struct revision_request plain = {.who = "me", .message = "why not"};

static void apply(const char *text, unsigned confirm_s)
{
	struct revision_request request = plain;

	request.confirm_s = confirm_s;
	if (text != NULL)
		write_text("main.yaml", text);
	revision_apply(revision, &request, note, NULL);
}

static void assert_group(const char *name)
{
	assert_non_null(model_find(running, MODEL_GROUP, name));
}

static void test_apply_and_rollback(void **state)
{
	apply(TWO, 0);
	assert_int_equal(last.error, 0);
	assert_int_equal(last.version, 2);
	assert_true(last.changed); /* though nothing was sent */
	apply(NULL, 0);            /* the same again is no version */
	assert_int_equal(last.version, 2);
	assert_false(last.changed);
	assert_group("two");

	write_text("main.yaml", EDIT); /* never in force: it must not be lost */
	revision_rollback(revision, 0, &plain, note, NULL);
	assert_int_equal(last.error, 0);
	assert_int_equal(last.version, 3);
	assert_group("one");
	assert_file("main.yaml", ONE);
	assert_file("main.yaml.old", EDIT);
	assert_string_equal(last_kept, "main.yaml.old");
	/* and a text that the history has does not push it out */
	revision_rollback(revision, 2, &plain, note, NULL);
	assert_file("main.yaml", TWO);
	assert_file("main.yaml.old", EDIT);
	assert_string_equal(last_kept, "");
	revision_rollback(revision, 77, &plain, note, NULL);
	assert_int_equal(last.error, -ENOENT);
	apply("# by hand\n" TWO, 0); /* another text that says the same is one */
	assert_int_equal(last.version, 5);
	assert_false(last.changed);
}

static void test_refusals_leave_everything(void **state)
{
	apply(BROKEN, 0);
	assert_int_equal(last.error, -EINVAL);
	assert_int_equal(last_errors, 1);
	assert_group("one");
	refuse_with = -EPROTO;
	apply(TWO, 60);
	assert_int_equal(last.error, -EPROTO);
	assert_string_equal(last_text, "no");
	assert_int_equal(revision_state(revision).trial_back_to, 0);
	assert_int_equal(revision_state(revision).version, 1);
	assert_file("main.yaml", TWO); /* it is the operator's */
	write_text("main.yaml", ONE);
	revision_peer_add(revision, "anna", PEER, &plain, note, NULL);
	assert_int_equal(last.error, -EPROTO);
	assert_file("peers.d/anna.yaml", NULL);
	/* of a trial that never began nothing comes back later */
	die();
	refuse_with = 0;
	begin();
	assert_int_equal(start(), 0);
	assert_int_equal(revision_state(revision).trial_back_to, 0);
}

static void test_trial_ends_by_itself(void **state)
{
	apply(TWO, 1);
	assert_int_equal(last.error, 0);
	assert_int_equal(revision_state(revision).trial_back_to, 1);
	apply(EDIT, 0);
	assert_int_equal(last.error, -EBUSY);
	while (revision_state(revision).trial_back_to != 0)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	assert_group("one");
	assert_file("main.yaml", ONE);
	assert_file("main.yaml.old", EDIT);
	assert_int_equal(revision_state(revision).version, 3);
	assert_int_equal(revision_confirm(revision), -ENOENT);
}

static void test_trial_is_confirmed(void **state)
{
	apply(TWO, 60);
	assert_int_equal(revision_confirm(revision), 0);
	die();
	begin();
	assert_int_equal(start(), 0);
	assert_group("two");
	assert_int_equal(revision_state(revision).trial_back_to, 0);
	assert_int_equal(revision_state(revision).version, 2);
}

static void test_trial_outlives_the_process(void **state)
{
	apply(TWO, 60);
	die();
	begin();
	assert_int_equal(start(), 0);
	assert_group("two"); /* there is time left */
	assert_int_equal(revision_state(revision).trial_back_to, 1);
	revision_rollback(revision, 0, &plain, note, NULL);
	assert_int_equal(last.error, 0);
	assert_group("one");
	assert_int_equal(revision_state(revision).trial_back_to, 0);
}

static void test_trial_that_ended_meanwhile(void **state)
{
	struct store_intent intent = {.version = 1, .deadline_s = 1};

	apply(TWO, 60);
	assert_int_equal(store_intent_set(store, &intent), 0); /* long ago */
	die();
	begin();
	assert_int_equal(start(), 0);
	assert_group("one");
	assert_file("main.yaml", ONE);
	assert_false(store_intent_get(store, &intent));
}

static void test_files_that_were_half_written(void **state)
{
	struct store_intent intent = {.version = 2};

	assert_int_equal(mkdir(path_of("conf.d"), 0700), 0);
	write_text("conf.d/a.yaml", "groups: {a: {}}\n");
	write_text("conf.d/b.yaml", "groups: {b: {}}\n");
	apply(TWO, 0);
	assert_int_equal(last.version, 2);
	/* a rollback to 2 that died in the middle of its files */
	write_text("main.yaml", ONE);
	unlink(path_of("conf.d/b.yaml"));
	write_text("conf.d/c.yaml", "groups: {c: {}}\n");
	assert_int_equal(store_intent_set(store, &intent), 0);
	die();
	begin();
	assert_int_equal(start(), 0);
	assert_file("main.yaml", TWO);
	assert_file("conf.d/b.yaml", "groups: {b: {}}\n");
	assert_file("conf.d/c.yaml", NULL);
	assert_file("conf.d/c.yaml.old", "groups: {c: {}}\n");
	assert_group("two");
}

static void test_broken_file_at_the_start(void **state)
{
	write_text("main.yaml", BROKEN);
	die();
	begin();
	assert_int_equal(start(), 0);
	assert_group("one");
	assert_file("main.yaml", BROKEN);
	assert_true(revision_state(revision).trouble[0] != '\0');
	apply(TWO, 0);
	assert_int_equal(last.error, 0);
	assert_string_equal(revision_state(revision).trouble, "");
	/* without a history there is nothing to fall back on */
	die();
	unlink(path_of("state.db"));
	write_text("main.yaml", BROKEN);
	begin();
	assert_int_equal(start(), -EINVAL);
}

static void test_peers(void **state)
{
	revision_peer_add(revision, "anna", PEER, &plain, note, NULL);
	assert_int_equal(last.error, 0);
	assert_file("peers.d/anna.yaml", PEER);
	revision_peer_add(revision, "anna", PEER, &plain, note, NULL);
	assert_int_equal(last.error, -EEXIST);
	revision_peer_remove(revision, "bob", &plain, note, NULL);
	assert_int_equal(last.error, -ENOENT);
	/* an edit that nobody has applied must not slip in beside it */
	write_text("main.yaml", TWO);
	revision_peer_remove(revision, "anna", &plain, note, NULL);
	assert_int_equal(last.error, -EBUSY);
	write_text("main.yaml", ONE);
	revision_peer_remove(revision, "anna", &plain, note, NULL);
	assert_int_equal(last.error, 0);
	assert_file("peers.d/anna.yaml", NULL);
	assert_int_equal(running->tables[MODEL_PEER].n, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_apply_and_rollback),
		TEST(test_refusals_leave_everything),
		TEST(test_trial_ends_by_itself),
		TEST(test_trial_is_confirmed),
		TEST(test_trial_outlives_the_process),
		TEST(test_trial_that_ended_meanwhile),
		TEST(test_files_that_were_half_written),
		TEST(test_broken_file_at_the_start),
		TEST(test_peers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
