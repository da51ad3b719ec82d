# SPDX-License-Identifier: BSD-3-Clause
"""The lab: network namespaces, the gateway and the clients in them. Used by scripts/lab,
scripts/run and the end-to-end tests."""
