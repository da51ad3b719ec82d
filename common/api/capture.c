/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/api/capture.h"

/* Of classic BPF: the class of an instruction, and what the jumps and returns among them are. */
enum {
	CLASS_MASK = 0x07,
	CLASS_JUMP = 0x05,
	CLASS_RETURN = 0x06,
	JUMP_MASK = 0xf0,
	JUMP_ALWAYS = 0x00,
};

/* Every instruction of classic BPF: loads, stores, arithmetic, jumps, returns, moves. */
static const uint8_t known[] = {
	0x00,
	0x01,
	0x02,
	0x03,
	0x04,
	0x05,
	0x06,
	0x07,
	0x0c,
	0x14,
	0x15,
	0x16,
	0x1c,
	0x1d,
	0x20,
	0x24,
	0x25,
	0x28,
	0x2c,
	0x2d,
	0x30,
	0x34,
	0x35,
	0x3c,
	0x3d,
	0x40,
	0x44,
	0x45,
	0x48,
	0x4c,
	0x4d,
	0x50,
	0x54,
	0x5c,
	0x60,
	0x61,
	0x64,
	0x6c,
	0x74,
	0x7c,
	0x80,
	0x81,
	0x84,
	0x87,
	0x94,
	0x9c,
	0xa4,
	0xac,
	0xb1,
};

static bool is_known(uint16_t code)
{
	for (unsigned i = 0; i < sizeof(known); i++) {
		if (known[i] == code)
			return true;
	}
	return false;
}

bool api_capture_code_valid(const struct api_capture_insn *insns, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct api_capture_insn *insn = &insns[i];
		unsigned behind = n - i - 1; /* instructions that a jump may lead to */

		if (!is_known(insn->code))
			return false;
		if ((insn->code & CLASS_MASK) != CLASS_JUMP)
			continue;
		if ((insn->code & JUMP_MASK) == JUMP_ALWAYS) {
			if (insn->k >= behind)
				return false;
		} else if (insn->jt >= behind || insn->jf >= behind) {
			return false;
		}
	}
	return n > 0 && (insns[n - 1].code & CLASS_MASK) == CLASS_RETURN;
}
