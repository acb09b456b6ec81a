"""How the page of a comparison looks: one sheet for light and dark, for screens and for paper."""

#: The group of a cause, which has a colour.
GROUPS = {
    "embedded-time": "time",
    "file-time": "time",
    "time-zone": "time",
    "random-identifier": "random",
    "hash-seed": "random",
    "address-space": "random",
    "process-id": "random",
    "directory-order": "order",
    "parallelism": "order",
    "locale": "order",
    "build-path": "machine",
    "hostname": "machine",
    "user": "machine",
    "cpu-count": "machine",
    "kernel": "machine",
    "environment": "machine",
    "inode": "machine",
    "umask": "machine",
    "unexplained": "unknown",
}

CSS = """
:root{--paper:#fdfdfb;--card:#fff;--ink:#1d2126;--dim:#68707a;--line:#e2e4e0;--old:#b3261e;--new:#1b6e3c;
--old-bg:#fdeceb;--new-bg:#e8f5ec;--time:#1a5fb4;--random:#7a3fb0;--order:#a85b00;--machine:#00707a;
--other:#5b6470;--unknown:#b3261e}
@media(prefers-color-scheme:dark){:root{--paper:#15181c;--card:#1c2026;--ink:#e4e7eb;--dim:#97a0ab;
--line:#2d333b;--old:#ff8f85;--new:#7fd6a0;--old-bg:#3a1f1e;--new-bg:#183224;--time:#7db4ff;--random:#cda0f5;
--order:#f0ac5a;--machine:#5fd0d8;--other:#aab3be;--unknown:#ff8f85}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:66rem;padding:2.5rem 1.25rem 4rem;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
code,pre{font:.875em/1.5 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;
overflow-wrap:anywhere}
header{border-bottom:1px solid var(--line);padding-bottom:1.25rem}
.verdict{margin:0 0 .75rem;font-size:2rem;font-weight:650;letter-spacing:-.02em;line-height:1.15}
.verdict.same{color:var(--new)}
.sides{margin:0;display:grid;gap:.4rem}.sides div{display:flex;gap:.7rem}
.sides dt{font:600 1.1rem/1.4 ui-monospace,monospace;color:var(--old)}.sides div+div dt{color:var(--new)}
.sides dd{margin:0;min-width:0}.sides dd code{display:block;color:var(--dim)}.sides b{overflow-wrap:anywhere}
h2{margin:2.25rem 0 .75rem;font-size:1.15rem;letter-spacing:-.01em}
h3{margin:.9rem 0 .3rem;font-size:.9rem;font-weight:500;color:var(--dim)}
.causes ul{list-style:none;margin:0;padding:0;display:grid;gap:.75rem;
grid-template-columns:repeat(auto-fill,minmax(17rem,1fr))}
.causes li{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.8rem .95rem}
.causes p{margin:.4rem 0 0}.causes .advice{color:var(--dim);font-size:.9rem}
input[name=only]{position:absolute;opacity:0;pointer-events:none}
.hint{color:var(--dim);font-size:.9rem}label{cursor:pointer}.all{text-decoration:underline}
.chip{display:inline-block;padding:.05rem .5rem;border-radius:1rem;font-size:.78rem;font-weight:600;
line-height:1.5;white-space:nowrap;color:var(--c);background:color-mix(in srgb,var(--c) 13%,transparent)}
.chip+.chip{margin-left:.3rem}
.time{--c:var(--time)}.random{--c:var(--random)}.order{--c:var(--order)}.machine{--c:var(--machine)}
.other{--c:var(--other)}.unknown{--c:var(--unknown)}
.count,.field,.sure,.dim,.at{color:var(--dim);font-size:.85rem}.at{margin-left:.7rem;white-space:nowrap}
.step{margin:-.35rem 0 .8rem}.note{color:var(--dim)}
input:focus-visible~main .causes{outline:1px dashed var(--dim);outline-offset:.5rem}
.place{background:var(--card);border:1px solid var(--line);border-bottom-width:0;padding:.45rem .9rem}
.place:first-of-type{border-radius:.6rem .6rem 0 0}
.place:last-of-type{border-radius:0 0 .6rem .6rem;border-bottom-width:1px}
.place:first-of-type:last-of-type{border-radius:.6rem}
summary{cursor:pointer;list-style-position:outside;margin-left:.9rem}summary .path{font-weight:600}
details[open]>summary{margin-bottom:.5rem}
.findings{list-style:none;margin:.3rem 0;padding:0 0 0 .9rem}
.findings li{margin:.25rem 0;overflow-wrap:anywhere}
.part{border-left:2px solid var(--line);margin:.5rem 0 .5rem .9rem;padding-left:.9rem}
.diff{margin:.5rem 0 .5rem .9rem;padding:0;overflow-x:auto;border-radius:.4rem;white-space:pre-wrap}
.diff span{display:inline-block;width:100%;padding:0 .6rem}
.old{color:var(--old)}.new{color:var(--new)}
.diff .old{background:var(--old-bg)}.diff .new{background:var(--new-bg)}
.values{margin:.3rem 0 .3rem .9rem;font:.875em/1.5 ui-monospace,monospace;overflow-wrap:anywhere}
.values .old::before{content:"− "}.values .new::before{content:"+ "}.values span{display:block}
footer{margin-top:3rem;color:var(--dim);font-size:.85rem}
@media print{body{max-width:none;padding:0}.hint{display:none}}
"""
