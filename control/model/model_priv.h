/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the files of this folder. */
#pragma once

#include "control/model/model.h"

/* Frees the table of an extension's claims (they themselves lie in the pool). */
void model_claims_clear(struct model *model);

/* Routing peers one by one; reports those that are skipped. Names are resolved (routers.c). */
void model_expand_routers(struct model *model, const struct model_reporter *reporter);

/* Parts of model_check(), forwards after names are resolved. True if there was no error. */
bool model_check_forwards(const struct model *model, const struct model_reporter *reporter);
bool model_check_maps(const struct model *model, const struct model_reporter *reporter);
/* Warns only. */
void model_check_mtus(const struct model *model, const struct model_reporter *reporter);
bool model_check_nat(const struct model *model, const struct model_reporter *reporter);
