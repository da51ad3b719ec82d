/* SPDX-License-Identifier: BSD-3-Clause */
/* Between model.c and extend.c. */
#pragma once

#include "control/model/model.h"

/* Frees the table of an extension's claims (they themselves lie in the pool). */
void model_claims_clear(struct model *model);
