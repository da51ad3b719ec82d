#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Every check a commit must pass: scripts/lint.sh [NAME...], names as listed at the end. Runs them
# all, prints what each found, and exits 1 if any found something. Results of clang-tidy are kept
# by preprocessed content under <build>/lint, so that a second run looks only at what changed.
# BUILD: a configured build folder (default build). JOBS: how many at once (default: all cores).
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
jobs=${JOBS:-$(nproc)}
cache=$build/lint
file_seconds=300 # no single file may take longer
mkdir -p "$cache/tidy" "$cache/cppcheck"

c_files() { git ls-files -- '*.c' '*.h' | while read -r f; do [ ! -f "$f" ] || echo "$f"; done; }
scripts() { git ls-files -z -- scripts .ci test config | xargs -0 -r grep -lIE -m1 '^#!(/bin/(ba)?sh|/usr/bin/env bash)' || true; }
pythons() { git ls-files -z -- scripts test '*.py' ':!*.toml' | xargs -0 -r grep -lIE -m1 '^#!/usr/bin/python3|^# SPDX.*' | xargs -r grep -lIE '^(import|from) ' | sort -u || true; }

lint_format() { c_files | xargs -r clang-format-14 --dry-run --Werror; }

lint_spelling() { git ls-files -z | xargs -0 -r codespell; }

# The licence line stands within the first three lines of whatever has a comment syntax.
lint_spdx()
{
	local file bad=0
	while read -r file; do
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier: BSD-3-Clause' ||
			{ echo "$file: no 'SPDX-License-Identifier: BSD-3-Clause' line"; bad=1; }
	done < <(c_files; scripts; git ls-files -- '*.py' '*.sh' Makefile)
	return $bad
}

lint_layers() { scripts/check-layers; }

# Each header must compile by itself.
lint_headers()
{
	c_files | grep '\.h$' | xargs -r -P "$jobs" -n 4 scripts/check-headers
}

lint_cppcheck()
{
	c_files | grep '\.c$' | grep -v '^test/' >"$cache/cppcheck.files"
	[ -s "$cache/cppcheck.files" ] || return 0
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
		--error-exitcode=1 --max-configs=4 -j "$jobs" --cppcheck-build-dir="$cache/cppcheck" \
		--library=posix,gnu,scripts/cppcheck.cfg -D_GNU_SOURCE -D__linux__ -D__x86_64__ -I . \
		--suppress=missingIncludeSystem --suppress=uninitMemberVar \
		--suppressions-list=scripts/cppcheck.suppressions \
		--file-list="$cache/cppcheck.files"
}

lint_tidy() { scripts/check-tidy "$build" "$cache/tidy" "$jobs" "$file_seconds"; }

lint_shell() { scripts | xargs -r shellcheck -x; }

lint_python() { pythons | xargs -r /usr/bin/python3 -c 'import ast, sys
for name in sys.argv[1:]:
    ast.parse(open(name).read(), name)'; }

# Rows of docs/features.md and docs/conformance/ name tests that exist; links lead somewhere.
lint_docs() { scripts/check-docs; }

# Faults whose text is no longer in the sources would never be tried.
lint_mutants() { scripts/mutate --check; }

all=(format spelling spdx layers headers shell python docs mutants cppcheck tidy)
failed=()
for name in "${@:-${all[@]}}"; do
	[[ " ${all[*]} " == *" $name "* ]] || { echo "lint: no check named '$name'; there are: ${all[*]}" >&2; exit 2; }
	start=$SECONDS
	if output=$("lint_$name" 2>&1); then
		printf 'lint: %-9s ok (%d s)\n' "$name" $((SECONDS - start))
	else
		[ -z "$output" ] || echo "$output"
		printf 'lint: %-9s FAILED\n' "$name"
		failed+=("$name")
	fi
done
if [ ${#failed[@]} -gt 0 ]; then
	echo "lint: failed: ${failed[*]}"
	exit 1
fi
