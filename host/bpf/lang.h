/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs in bpftrace's words: text (lex.c) -> tree (parse.c) -> types of everything, for one place (check.c) -> instructions
 * (gen.c, emit.c). A clause is checked and generated once for each place that its probes name, because fields, builtins
 * and their types are the place's; what comes out equal is loaded once.
 *
 *   L1  Memory of a tree is its arena's; types of expressions are those of the place checked last.
 *   L2  Maps and their types belong to the whole program: clauses are checked again until no type changes.
 *   L3  A string takes a multiple of 8 bytes and is zeros from its end on: so strings are compared by words, and are keys.
 */
#ifndef HOST_BPF_LANG_H
#define HOST_BPF_LANG_H

#include "host/bpf/attach.h"
#include "host/bpf/unit.h"

/* --- lex.c --- */

enum token_kind {
    TOK_END, TOK_NUMBER, TOK_STRING, TOK_WORD, TOK_VARIABLE, TOK_MAP, /* below: operators; one character is itself */
    TOK_FIRST_OPERATOR = 256,
    TOK_LE, TOK_GE, TOK_EQ, TOK_NE, TOK_SHL, TOK_SHR, TOK_AND, TOK_OR, TOK_INC, TOK_DEC, TOK_ARROW,
    TOK_ADD_SET, TOK_SUB_SET, TOK_MUL_SET, TOK_DIV_SET, TOK_MOD_SET, TOK_AND_SET, TOK_OR_SET, TOK_XOR_SET, TOK_SHL_SET, TOK_SHR_SET,
};
struct token {
    int kind;
    u32 at, len;  /* in the text */
    u64 number;
    char *text;   /* words, variables and maps with their sign; strings without quotes */
};
struct arena {
    struct arena_block *blocks;
};
void *arena_alloc(struct arena *a, size_t size); /* zeroed */
char *arena_text(struct arena *a, const char *text, size_t len);
void arena_done(struct arena *a);

struct lexer {
    const char *text;
    size_t len, at;
    struct arena *arena;
    struct error *err;
};
/* The next token. 0 or -1. */
int lex_next(struct lexer *l, struct token *ret);
/* Behind blanks and comments there is nothing. */
bool lex_at_end(struct lexer *l);
/* The next token without taking it is '{'. */
bool lex_before_brace(const struct lexer *l);
/* What stands where a probe is named: up to a blank, ',' or '{'. Its text, or NULL. */
char *lex_probe(struct lexer *l, u32 *ret_at);
/* "line 2, column 5: ...", that line, and a mark under the place. Returns -1. */
int lang_error(struct error *err, const char *text, size_t len, u32 at, const char *format, ...) PRINTF_LIKE(5, 6);

/* --- parse.c --- */

enum type_kind {
    T_NONE, T_INT, T_STRING, T_TUPLE, T_KSTACK, T_USTACK, T_KSYM, T_USYM, T_PROBE, T_TIME,
    T_COUNT, T_SUM, T_AVG, T_MIN, T_MAX, T_STATS, T_HIST, T_LHIST
};
#define TYPE_SUMS(kind) ((kind) >= T_COUNT) /* a map's value that functions add to, for each CPU */
#define TYPE_HIST(kind) ((kind) == T_HIST || (kind) == T_LHIST) /* one element for each bucket */
#define PARTS_MAX 16u
#define STRING_BYTES 64u

struct type {
    enum type_kind kind;
    bool is_signed;
    u32 size;              /* bytes of a value, a multiple of 8 */
    u32 nparts;            /* of tuples */
    struct type *parts;
    s64 low, high, step;   /* lhist */
    u32 frames;            /* stacks: at most */
    char *format;          /* of strftime() */
};

enum expr_kind { E_NUMBER, E_STRING, E_VARIABLE, E_MAP, E_BUILTIN, E_CALL, E_UNARY, E_BINARY, E_CHOICE, E_FIELD, E_INDEX, E_TUPLE, E_STEP, E_CAST };
struct expr {
    enum expr_kind kind;
    u32 at;               /* in the text */
    u32 depth;            /* of the tree below */
    int op;               /* a token's kind; E_STEP: TOK_INC or TOK_DEC */
    bool postfix;         /* E_STEP */
    bool is_signed;       /* E_CAST */
    u64 number;           /* E_NUMBER; E_INDEX: which part; E_CAST: bytes */
    char *text;           /* names, strings */
    struct expr *kids[PARTS_MAX]; /* operands, arguments, keys */
    u32 nkids;
    /* filled in by check.c */
    struct type type;
    struct map_def *map;
    struct variable *variable;
    s32 param;            /* what gen.c is to know: an output's number, an offset in the context */
    char field_type;
};

enum stmt_kind { S_EXPR, S_ASSIGN, S_IF, S_UNROLL, S_WHILE, S_RETURN, S_BREAK, S_CONTINUE };
struct stmt {
    enum stmt_kind kind;
    u32 at;
    int op;               /* S_ASSIGN: '=' or TOK_*_SET */
    struct expr *left, *right; /* S_ASSIGN; condition and S_EXPR: right */
    struct stmt *body, *otherwise, *next;
};

struct variable {
    struct variable *next;
    char *name;
    struct type type;
    bool fixed;           /* a value was assigned */
    s32 slot;             /* on the stack: from r10 */
};
struct clause {
    struct clause *next;
    u32 at;
    char *probes[64];
    u32 probes_at[64], nprobes;
    struct expr *filter;  /* NULL */
    struct stmt *body;
    struct variable *variables; /* made anew for each place */
    struct targets targets;
};

struct map_def {
    struct map_def *next;
    char *name;           /* "@x" */
    u32 at;
    struct type value;
    struct type keys[PARTS_MAX];
    u32 nkeys;            /* 0: a single value */
    bool keyed_known;
    s32 index;            /* in the unit */
};

#define PROBE_CALL (1ull << 32) /* in what `probe` is: the system call with the number below, for each enum probe_call */
enum probe_call { PROBE_ENTER = 1, PROBE_EXIT, PROBE_SYSCALL };

struct lang {
    const char *text;
    size_t len;
    const struct world *world;
    struct error *err;
    struct arena arena;
    struct clause *clauses;
    struct map_def *maps; /* by name */
    struct unit unit;
    struct output *outputs;
    u32 noutputs;
    struct strv probes;   /* names that `probe` has, by number */
    s32 ring, lost;       /* maps: of outputs; how many updates found no room */
    bool changed;         /* a type did */
    bool strict;          /* what is unknown now is an error */
};
int lang_parse(struct lang *l);
/* 0 or -1, at a place in the text. */
#define lang_fail(l, at, ...) lang_error((l)->err, (l)->text, (l)->len, at, __VA_ARGS__)

/* --- types.c --- */

/* "a string", "an integer", ... */
const char *type_text(const struct type *t);
bool type_equal(const struct type *a, const struct type *b);
/* Make `to` hold what `from` is, too. False: it cannot. */
bool type_join(struct arena *a, struct type *to, const struct type *from, bool *changed);
static inline void set_int(struct expr *e, bool is_signed) { e->type = (struct type){.kind = T_INT, .size = 8, .is_signed = is_signed}; }
static inline bool is_comparison(int op) { return op == TOK_EQ || op == TOK_NE || op == '<' || op == '>' || op == TOK_LE || op == TOK_GE; }

/* --- hist.c --- */

/* How many buckets a histogram of that type has: the first is below, the last (of linear ones) from `high` on. */
u32 hist_buckets(const struct type *t);

/* --- check.c --- */

/* Types of all clauses, for all their places. */
int lang_check(struct lang *l);
/* Of one clause for one place: what gen.c then generates. */
int lang_check_clause(struct lang *l, struct clause *c, const struct target *t);

/* --- words.c: what builtins and functions there are --- */

struct checker {
    struct lang *l;
    struct clause *c;
    const struct target *t;
    u32 loops;            /* that surround the place */
    bool changed;         /* a variable's type did */
};
int check_expr(struct checker *k, struct expr *e);
int check_map_use(struct checker *k, struct expr *e); /* a map with its key, not its value */
struct map_def *lang_map(const struct lang *l, const char *name); /* NULL */
/* Its type must be this one, as far as it is known. */
int check_kind(struct checker *k, const struct expr *e, enum type_kind kind, const char *what);
int check_builtin(struct checker *k, struct expr *e);
int check_field(struct checker *k, struct expr *e);
int check_call(struct checker *k, struct expr *e);
/* Functions whose value only a map can take: @x = count(). */
bool call_sums(const struct expr *e);
bool call_is(const struct expr *e, const char *name);

/* --- format.c --- */

/* Does the format of printf() suit these values? 0 or -1, at the call's place. */
int format_check(struct lang *l, const struct expr *call);

/* --- gen.c --- */

/* The program of a clause that was checked for this place: instructions and where they come from. 0 or -1. */
int lang_generate(struct lang *l, struct clause *c, const struct target *t, struct unit_program *ret);

/* --- compile.c --- */

enum output_kind { OUT_PRINTF, OUT_PRINT, OUT_PRINT_MAP, OUT_CLEAR, OUT_ZERO, OUT_TIME, OUT_EXIT };
/* What a program asks the host to do. Its record is a u64, the output's number, and the values. */
struct output {
    enum output_kind kind;
    u32 at;
    char *format;         /* printf, time */
    struct map_def *map;
    u64 top, div;         /* print(@x, top, div); 0: all, 1 */
    struct type types[PARTS_MAX];
    u32 ntypes;
};
/* The number of that output; it is added if there is no equal one. */
u32 lang_output(struct lang *l, const struct output *o);
/* The number of a place's name, for `probe`. */
u64 lang_probe(struct lang *l, const struct target *t);
/* A map of stacks so deep. */
u32 lang_stacks(struct lang *l, u32 frames);

/*
 * All of it. The unit's attachments are in the order of the text. 0 or -1 with the place and the reason. The lang is kept
 * as long as its outputs and maps are shown, then lang_done().
 */
int lang_compile(struct lang *l, const char *text, size_t len, const struct world *w, struct error *err);
void lang_done(struct lang *l);

#endif
