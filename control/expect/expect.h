/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The section `tests` of a configuration: what shall become of a flow, judged by the engine of
 * `sallyport why` from the messages that the data plane would be given. Judged before anything is
 * sent, so that a change which breaks a promise is refused. Loop's thread, or any program's.
 */
#pragma once

#include "control/compile/compile.h"
#include "control/diag/diag.h"

/* Judges every test of compiled->model; list as why_judge() takes it. Findings go to diag, whose
 * sources are the files that the model was read from. True if all hold. */
bool expect_judge(const struct compiled *compiled, const struct desired *list, struct diag *diag);

/*
 * As expect_judge() without a gateway: compiles by ids of its own, with the ports' networks as the
 * configuration has them instead of the kernel's. Peers whose key files were not looked at count
 * as having a key. A model that cannot be compiled is reported too.
 */
bool expect_check(struct model *model, struct diag *diag);
