/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys as they come beside transactions: used once, bounded, gone with what they came for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <unistd.h>

#include "common/ring/secret.h"
#include "test/unit/dataplane/main/controller.h"

static void send_keys(uint64_t token, const struct key *keys, uint32_t n)
{
	int fd = secret_seal(keys, n);

	assert_true(fd >= 0);
	assert_int_equal(channel_send_secret(control.socket, token, fd), 0);
	close(fd);
}

static void put_interface(uint16_t id, uint64_t token, uint32_t index)
{
	struct api_wg_interface_set set;

	api_message_init(&set, API_WG_INTERFACE_SET, sizeof(set));
	set.interface = id;
	set.private_key = (struct api_secret){.token = token, .index = index};
	put(&set);
}

static void keys_are_used_once(void **state)
{
	static const struct key keys[2] = {{{1, 2}}, {{3, 4}}};
	uint8_t out[KEY_SIZE];

	send_keys(77, keys, 2);
	put_begin(API_TXN_FULL, 0, 1);
	put_interface(1, 77, 1);
	put_commit(1);
	expect_reply(1001, API_OK);
	assert_memory_equal(&toy.keys[1], &keys[1], sizeof(keys[1]));
	/* The other one went with its transaction. */
	assert_false(session_secret_present(77, 0));
	assert_int_equal(session_secret(77, 0, out), -ENOENT);
	put_begin(API_TXN_FULL, 0, 1);
	put_interface(1, 77, 1);
	put_commit(2);
	expect_reply(1002, API_E_SECRET);

	/* Two transactions' keys; the first fails and takes only its own along. */
	send_keys(78, keys, 2);
	put_begin(API_TXN_FULL, 0, 2);
	put_interface(1, 78, 0);
	put_port(1, 1);
	put_commit(3);
	expect_reply(1003, API_E_VALUE);
	assert_false(session_secret_present(78, 0));
	send_keys(79, keys, 2);
	put_begin(API_TXN_FULL, 0, 1);
	put_interface(1, 79, 2); /* beyond the end */
	put_commit(4);
	expect_reply(1004, API_E_SECRET);
	send_keys(80, keys, 1);
	poll_session();
	assert_true(session_secret_present(80, 0));
	disconnect_control();
	assert_false(session_secret_present(80, 0));
}

static void keys_are_bounded(void **state)
{
	static const struct key key = {{5}};

	send_keys(0, &key, 1); /* no token */
	for (unsigned i = 1; i <= SESSION_SECRETS_MAX + 3; i++) {
		send_keys(i, &key, 1);
		poll_session();
	}
	send_keys(3, &key, 1); /* a token again */
	poll_session();
	assert_false(session_secret_present(0, 0));
	assert_true(session_secret_present(SESSION_SECRETS_MAX, 0));
	assert_false(session_secret_present(SESSION_SECRETS_MAX + 1, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keys_are_used_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keys_are_bounded, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
