/* SPDX-License-Identifier: BSD-3-Clause */
/* sallyport-dataplane: see dataplane.c for its life, args.c for its options. */
#include <stdlib.h>
#include <unistd.h>

#include "dataplane/main/dataplane.h"
#include "dataplane/main/process.h"

int main(int argc, char **argv)
{
	struct args args;
	int stop_fd, rc;

	switch (args_parse(argc, argv, &args)) {
	case ARGS_DONE:
		return EXIT_SUCCESS;
	case ARGS_WRONG:
		return 2;
	case ARGS_RUN:
		break;
	}
	log_set_level(NULL, args.log);
	process_harden();
	stop_fd = process_signal_fd();
	if (stop_fd < 0)
		return EXIT_FAILURE;
	process_lock_memory();
	rc = dataplane_start(&args);
	if (rc == 0)
		rc = dataplane_run(stop_fd);
	dataplane_stop();
	close(stop_fd);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
