/* SPDX-License-Identifier: BSD-3-Clause */
/* How long flows live, and how many one sender may have. */
#include "common/api/flow.h"
#include "control/compile/compile_priv.h"

#include <string.h>

void compile_timeouts(struct builder *b)
{
	struct api_flow_timeouts_set *set;

	if (!b->model->timeouts.given)
		return; /* the data plane has the same defaults */
	set = compile_emit(b, API_FLOW_TIMEOUTS_SET);
	set->id = 1;
	memcpy(set->seconds, b->model->timeouts.seconds, sizeof(set->seconds));
}

void compile_limits(struct builder *b)
{
	const struct model_limits *limits = &b->model->limits;
	struct api_flow_limits_set *set;

	if (!limits->given)
		return; /* the data plane has the same defaults */
	set = compile_emit(b, API_FLOW_LIMITS_SET);
	set->id = 1;
	set->flows = limits->flows;
	set->half_open = limits->half_open;
	set->new_per_s = limits->new_per_s;
	set->icmp_per_s = limits->icmp_per_s;
	set->rest_s = limits->rest_s;
	set->resting = limits->resting;
}

_Static_assert((int)MODEL_ICMP_ERRORS_DEFAULT == (int)API_LIMIT_ICMP_DEFAULT &&
		       (int)MODEL_PORT_REST_S == (int)API_LIMIT_REST_DEFAULT,
	"the data plane's");
_Static_assert((int)MODEL_TIMEOUTS == (int)API_FLOW_TIMEOUTS, "one for each of the data plane's");
