#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What words mean to the scripts that run tests and fuzzers."""
import contextlib
import io
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'scripts'))
import check  # noqa: E402
import fuzz_smoke  # noqa: E402

TESTS = [{'suite': s, 'name': n} for s, n in (('tree', 'a b'), ('unit', 'tree'), ('unit', 'json'), ('soak', 'long'))]
CASES = {
    '': 'tree:a b, unit:tree, unit:json',
    'tree': 'tree:a b',
    'unit:tree': 'unit:tree',
    'json, a b': 'tree:a b, unit:json',
    'soak, soak:long': 'soak:long',
    'json, jsn': None,
    'tree:json': None,
}
failed = 0


def ok(good, what):
    global failed
    failed += not good
    print(f'{"ok" if good else "not ok"} - {what}')


def ended(run, *words):
    """What run gives, or None where it ends the program with a complaint."""
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            return run(*words)
        except SystemExit as e:
            assert e.code not in (None, 0)
            return None


for words, want in CASES.items():
    got = ended(check.chosen, TESTS, words.split(', ') if words else [])
    ok((got and ', '.join(f'{t["suite"]}:{t["name"]}' for t in got)) == want, f'check.py: {words or "no word"}')
for words in 'build --seconds 6 json', 'build json --seconds 6', '--seconds 6 build json':
    a = ended(fuzz_smoke.arguments, words.split())
    ok(a and (a.build, a.seconds, a.names) == ('build', 6, ['json']), f'fuzz_smoke.py {words}')
ok(len(fuzz_smoke.arguments(['build']).names) > 10, 'fuzz_smoke.py: all')
ok(ended(fuzz_smoke.arguments, ['build', 'jsn']) is None, 'fuzz_smoke.py refuses what is no fuzzer')
sys.exit(failed != 0)
