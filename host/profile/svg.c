/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flame graph: each row of boxes calls the one above it; widths are shares of the samples. Stacks come in the order of
 * their text, so the boxes of a common beginning are one box. A click zooms, the field searches by regular expression.
 */
#include <stdio.h>
#include <string.h>

#include "host/profile/profile.h"

#define WIDTH 1200.0
#define ROW 17
#define TOP 56
#define DEPTH_MAX 512

struct frame {
    const char *name; /* into the last stack */
    size_t len;
    u64 start;
};
struct graph {
    FILE *out;
    bool times;
    u64 total, at; /* samples, or us */
    struct frame open[DEPTH_MAX];
    unsigned depth, deepest;
    char *last; /* the stack whose frames are open */
};

static void put_text(FILE *out, const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '<' || c == '>' || c == '&' || c == '"' || c < ' ')
            fprintf(out, "&#%d;", c < ' ' ? '?' : c);
        else
            fputc(c, out);
    }
}

static unsigned hash(const char *s, size_t len)
{
    unsigned h = 2166136261u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)s[i]) * 16777619u;
    return h;
}

static void put_box(struct graph *g, unsigned level)
{
    const struct frame *f = &g->open[level];
    u64 samples = g->at - f->start;
    unsigned h = hash(f->name, f->len);
    bool kernel = f->len > 4 && memcmp(f->name + f->len - 4, "_[k]", 4) == 0;
    fprintf(g->out, "<g class=\"f\" data-x=\"%.4f\" data-w=\"%.4f\" data-d=\"%u\"><title>", (double)f->start / (double)g->total,
            (double)samples / (double)g->total, level);
    put_text(g->out, f->name, f->len);
    fprintf(g->out, " (%llu %s, %.2f%%)</title><rect fill=\"rgb(%u,%u,%u)\"/><text>", (unsigned long long)samples, g->times ? "us" : "samples",
            100.0 * (double)samples / (double)g->total, kernel ? 90 + h % 40 : 205 + h % 50, kernel ? 130 + h % 60 : 60 + h / 50 % 150, kernel ? 220 : 40 + h % 30);
    put_text(g->out, f->name, f->len);
    fputs("</text></g>\n", g->out);
}

/* Close the boxes from `level` on. */
static void close_from(struct graph *g, unsigned level)
{
    while (g->depth > level)
        put_box(g, --g->depth);
}

static u64 width_of(const struct graph *g, const struct folded_row *row) { return g->times ? row->ns / 1000 : row->samples; }

static void on_stack(void *ctx, const struct folded_row *row)
{
    struct graph *g = ctx;
    char *copy = xstrdup(row->stack);
    unsigned level = 0, same = 0;
    bool equal = true;
    struct frame next[DEPTH_MAX];
    for (const char *p = copy; level < DEPTH_MAX; level++) {
        size_t len = strcspn(p, ";");
        next[level] = (struct frame){p, len, g->at};
        equal = equal && level < g->depth && g->open[level].len == len && memcmp(g->open[level].name, p, len) == 0;
        same += equal;
        if (!p[len]) {
            level++;
            break;
        }
        p += len + 1;
    }
    close_from(g, same);
    for (unsigned i = 0; i < same; i++)
        next[i].start = g->open[i].start;
    memcpy(g->open, next, level * sizeof(next[0]));
    g->depth = level;
    free(g->last);
    g->last = copy;
    g->at += width_of(g, row);
}

static void measure(void *ctx, const struct folded_row *row)
{
    struct graph *g = ctx;
    unsigned levels = 1;
    for (const char *c = row->stack; *c; c++)
        levels += *c == ';';
    g->deepest = MAX(g->deepest, MIN(levels, (unsigned)DEPTH_MAX));
    g->total += width_of(g, row);
}

static const char script[] =
    "<script><![CDATA[\n"
    "const W=%d,H=%u,R=%d,fs=[...document.querySelectorAll('.f')];let x0=0,w0=1,d0=0;\n"
    "function draw(){for(const g of fs){const x=+g.dataset.x,w=+g.dataset.w,d=+g.dataset.d;let a=(x-x0)/w0,b=w/w0;\n"
    " const over=d<d0&&x<=x0+1e-9&&x+w>=x0+w0-1e-9;if(over){a=0;b=1}\n"
    " const hide=!over&&(a+b<=1e-9||a>=1-1e-9||b*W<0.3||d<d0);g.style.display=hide?'none':'';if(hide)continue;\n"
    " const l=Math.max(a,0)*W,r=Math.min(a+b,1)*W,rect=g.children[1],t=g.children[2];\n"
    " rect.setAttribute('x',l);rect.setAttribute('width',Math.max(r-l-0.5,0.3));rect.setAttribute('y',H-(d+1)*R);rect.setAttribute('height',R-1);\n"
    " rect.setAttribute('opacity',over?0.5:1);t.setAttribute('x',l+3);t.setAttribute('y',H-d*R-5);\n"
    " const n=g.firstChild.textContent.replace(/ \\([^(]*$/,''),c=Math.floor((r-l-6)/7);t.textContent=c<3?'':n.length>c?n.slice(0,c-2)+'..':n}}\n"
    "for(const g of fs)g.onclick=()=>{x0=+g.dataset.x;w0=+g.dataset.w;d0=+g.dataset.d;draw()};\n"
    "document.getElementById('reset').onclick=()=>{x0=0;w0=1;d0=0;draw()};\n"
    "document.getElementById('find').onclick=()=>{const q=prompt('regular expression');if(q===null)return;let e;try{e=new RegExp(q)}catch(m){return alert(m)}\n"
    " const hit=[];for(const g of fs){const y=q&&e.test(g.firstChild.textContent);g.children[1].style.fill=y?'#d0f':'';if(y)hit.push([+g.dataset.x,+g.dataset.w])}\n"
    " hit.sort((a,b)=>a[0]-b[0]||b[1]-a[1]);let s=0,end=0;for(const[x,w]of hit)if(x>=end-1e-9){s+=w;end=x+w}\n"
    " document.getElementById('hits').textContent=q?'matched: '+(100*s).toFixed(1)+'%%':''};\n"
    "draw();\n]]></script>\n";

void svg_write(FILE *out, struct folded *f, const char *title, bool times)
{
    struct graph g = {.out = out, .times = times, .deepest = 1};
    folded_each(f, measure, &g);
    g.total = MAX(g.total, (u64)1);
    unsigned height = TOP + g.deepest * ROW + 10;
    fprintf(out,
            "<?xml version=\"1.0\" standalone=\"no\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" viewBox=\"0 0 %d %u\" "
            "font-family=\"monospace\" font-size=\"12\">\n<style>.f{cursor:pointer}.f rect{stroke:#fff;stroke-width:.3}.f:hover rect{stroke:#000;"
            "stroke-width:1}text{pointer-events:none}.b{cursor:pointer;pointer-events:all;fill:#06c}</style>\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#f8f8f4\"/>\n<text x=\"10\" y=\"20\" font-size=\"15\">",
            (int)WIDTH, height, (int)WIDTH, height);
    put_text(out, title, strlen(title));
    fputs("</text><text class=\"b\" id=\"reset\" x=\"10\" y=\"42\">all</text><text class=\"b\" id=\"find\" x=\"50\" y=\"42\">search</text>"
          "<text id=\"hits\" x=\"120\" y=\"42\"></text>\n",
          out);
    folded_each(f, on_stack, &g);
    close_from(&g, 0);
    free(g.last);
    fprintf(out, script, (int)WIDTH, height - 6, ROW);
    fputs("</svg>\n", out);
}
