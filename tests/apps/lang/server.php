<?php
// SPDX-License-Identifier: Apache-2.0
// PHP: the cli server with two worker processes; opcache's and PCRE's compilers write code while it runs.
function count_from(int $a): int
{
    for ($i = 0; $i < 100000; $i++)
        $a = ($a * 31 + $i) % 1000003;
    return $a;
}

function own(): string
{
    $jit = opcache_get_status(false)['jit']['on'] ?? false;
    $words = preg_match_all('/\b(\w)\w*\1\b/u', str_repeat('level radar Öl trust ', 200));
    try {
        intdiv(1, 0);
    } catch (DivisionByZeroError $e) {
        $said = $e->getMessage();
    }
    return ($jit ? 'jit' : 'no jit') . " $words, $said, " . gc_collect_cycles() . "\n";
}

header('Content-Type: text/plain');
echo match (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH)) {
    '/work' => implode(' ', array_map('count_from', range(0, 3))) . "\n",
    '/child' => shell_exec('/bin/echo through a child'),
    '/own' => own(),
    default => "hello\n",
};
