/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/wireguard/wheel.h"

#include <stddef.h>

static struct wheel_list *slot_of(const struct wheel *wheel, uint64_t tick)
{
	return (struct wheel_list *)&wheel->slots[tick % WHEEL_SLOTS];
}

static uint64_t tick_of(uint64_t ms)
{
	return (ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
}

void wheel_init(struct wheel *wheel, uint64_t now_ms)
{
	for (unsigned i = 0; i < WHEEL_SLOTS; i++)
		TAILQ_INIT(&wheel->slots[i]);
	wheel->tick = now_ms / WHEEL_TICK_MS;
}

void wheel_set(struct wheel *wheel, struct wheel_entry *entry, uint64_t due_ms)
{
	wheel_remove(wheel, entry);
	if (tick_of(due_ms) <= wheel->tick)
		due_ms = (wheel->tick + 1) * WHEEL_TICK_MS;
	entry->due_ms = due_ms;
	TAILQ_INSERT_TAIL(slot_of(wheel, tick_of(due_ms)), entry, link);
}

void wheel_remove(struct wheel *wheel, struct wheel_entry *entry)
{
	if (entry->due_ms == 0)
		return;
	TAILQ_REMOVE(slot_of(wheel, tick_of(entry->due_ms)), entry, link);
	entry->due_ms = 0;
}

struct wheel_entry *wheel_next(struct wheel *wheel, uint64_t now_ms)
{
	uint64_t end = now_ms / WHEEL_TICK_MS;

	while (wheel->tick < end) {
		struct wheel_list *slot = slot_of(wheel, wheel->tick + 1);
		struct wheel_entry *entry;

		TAILQ_FOREACH(entry, slot, link)
		{
			if (tick_of(entry->due_ms) <= wheel->tick + 1) {
				wheel_remove(wheel, entry);
				return entry;
			}
		}
		wheel->tick++;
	}
	return NULL;
}

uint32_t wheel_wait_ms(const struct wheel *wheel, uint64_t now_ms, uint32_t max_ms)
{
	uint64_t first = wheel->tick + 1;
	uint64_t last = (now_ms + max_ms) / WHEEL_TICK_MS;

	for (uint64_t tick = first; tick <= last && tick < first + WHEEL_SLOTS; tick++) {
		if (!TAILQ_EMPTY(slot_of(wheel, tick))) {
			uint64_t at = tick * WHEEL_TICK_MS;

			return at > now_ms ? (uint32_t)(at - now_ms) : 0;
		}
	}
	return max_ms;
}
