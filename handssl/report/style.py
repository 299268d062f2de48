"""Style sheet of the page: light and dark, for small and large screens, without external files."""

CSS = """
:root{color-scheme:light dark;--page:#fcfcfb;--ink:#14181f;--muted:#5c6470;--rule:#dfe2e6;
--raised:#f3f4f6;--contrastive:#2a78d6;--relative:#d9541e;--mixed:#16865c;--equivariant:#6a4bd0;
--good:#1a7f4b;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root{--page:#14171c;--ink:#e8eaed;--muted:#a0a8b4;
--rule:#323843;--raised:#1d2229;--contrastive:#5b9ff0;--relative:#f0854f;--mixed:#3fbf8c;
--equivariant:#a891f5;--good:#58c68c;--bad:#f2837b}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1160px;padding:28px 20px 48px;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:1.55rem;line-height:1.2;margin:0 0 .4rem}
h2{font-size:1.05rem;margin:2.2rem 0 .5rem}
h3{font-size:.95rem;margin:1.4rem 0 .4rem}
.headline,.note,li,figcaption{overflow-wrap:anywhere}
.headline{font-size:1.08rem;max-width:60rem;margin:.2rem 0 0}
.muted,figcaption{color:var(--muted)}
.note{font-size:.86rem;margin:.5rem 0 0;max-width:60rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;width:100%}
th,td{padding:.3rem .7rem .3rem 0;text-align:left;white-space:nowrap}
th{font-weight:600;border-bottom:1px solid var(--ink);vertical-align:bottom;white-space:normal}
td{border-bottom:1px solid var(--rule)}
td.cell{white-space:normal;min-width:11rem}
.number{text-align:right}
.number+:not(.number){padding-left:.7rem}
td.number:first-child,th.number:first-child{width:2.2rem}
tr.reference td{color:var(--muted);font-style:italic;background:var(--raised)}
tr.first td{font-weight:650}
tr.section td{padding-top:1.1rem;color:var(--muted);font-weight:600}
td.contrastive::before,td.relative::before,td.mixed::before,td.equivariant::before{content:"";
display:inline-block;width:.6em;height:.6em;margin-right:.45em;border-radius:50%}
td.contrastive::before{background:var(--contrastive)}
td.relative::before{background:var(--relative);border-radius:0;transform:rotate(45deg) scale(.9)}
td.mixed::before{background:var(--mixed)}
td.equivariant::before{background:var(--equivariant)}
.order{list-style:none;margin:0;padding:0}
.order li{padding:.45rem 0;border-bottom:1px solid var(--rule)}
.held{color:var(--good);font-weight:600}
.failed{color:var(--bad);font-weight:600}
.undecided{font-weight:600}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:0 44px}
figure{margin:0;min-width:0}
figcaption{font-size:.86rem;margin-bottom:.6rem;min-height:3em}
svg{display:block;width:100%;max-width:620px;height:auto;overflow:visible}
svg text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--ink)}
svg text.tick,svg text.muted{fill:var(--muted);font-size:12px}
svg text.value{font-size:12px;font-variant-numeric:tabular-nums}
svg text.best,svg text.panel{font-weight:650}
svg text.halo{paint-order:stroke;stroke:var(--page);stroke-width:4px;stroke-linejoin:round}
.contrastive{--mark:var(--contrastive)}.relative{--mark:var(--relative)}
.mixed{--mark:var(--mixed)}.equivariant{--mark:var(--equivariant)}
.grid{stroke:var(--rule);stroke-width:1}
.pair{stroke:var(--muted);stroke-width:2;opacity:.55}
.leader{stroke:var(--muted);stroke-width:.7;opacity:.6;stroke-dasharray:1 3}
.reference{stroke:var(--muted);stroke-width:1.3;stroke-dasharray:5 4;fill:none}
svg .dot,svg .end{fill:var(--mark,var(--ink));stroke:var(--page);stroke-width:1.5}
svg .dot.early,svg .end.early{fill:var(--page);stroke:var(--mark,var(--ink));stroke-width:2}
svg .block{fill:var(--mark,var(--ink));opacity:.45}
svg .curve{fill:none;stroke:var(--mark,var(--ink));stroke-width:2;stroke-linejoin:round}
svg .curve.early{opacity:.75}
svg .thin{fill:none;stroke:var(--mark,var(--ink));stroke-width:1;opacity:.28}
svg .band{fill:var(--mark,var(--ink));opacity:.13;stroke:none}
svg .rung{stroke:var(--muted);stroke-width:1;stroke-dasharray:2 4}
svg .whisker{stroke:var(--mark,var(--ink));stroke-width:1.6;opacity:.6}
svg .bond{stroke:var(--ink);stroke-width:1.6;opacity:.45}
svg .set.off{fill:var(--rule)}svg .set.on{fill:var(--ink)}svg .set.relative{fill:var(--relative)}
figure.whole{grid-column:1/-1;margin-bottom:1.4rem}figure.whole svg{max-width:none;min-width:640px;
max-height:420px}
img.sheet{display:block;width:100%;max-width:760px;min-width:560px;height:auto}
svg text.panel{fill:var(--mark,var(--ink))}
.note+.figures,.note+.wide{margin-top:1.4rem}figure.whole figcaption{min-height:0}
.bone{stroke:var(--rule);stroke-width:6;stroke-linecap:round}
svg .joint{fill:var(--mark,var(--muted));opacity:.5}
svg text.joint-mm{font-size:11px;font-variant-numeric:tabular-nums}
svg .hand{overflow:hidden}
.skeleton{stroke-width:1.6;stroke-linecap:round}
.skeleton.true{stroke:#fff}.skeleton.predicted{stroke:#ffb000;stroke-dasharray:4 3}
.key{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:0 0 .4rem;font-size:.86rem}
.key svg{display:inline-block;width:14px;height:14px;margin-right:.3rem;vertical-align:-2px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.2rem;margin:0;font-size:.9rem}
dt{color:var(--muted)}
dd{margin:0;overflow-wrap:anywhere}
@media (max-width:560px){body{padding:18px 14px 36px}dl{grid-template-columns:1fr}
dd{margin-bottom:.4rem}figcaption{min-height:0}
table.cells{font-size:.86rem}th,td{padding-right:.55rem}td.cell{min-width:7.5rem}}
code{font:.92em ui-monospace,SFMono-Regular,Consolas,monospace;overflow-wrap:anywhere}
.next{margin:.2rem 0 .6rem;padding-left:1.1rem;font-size:.86rem}
details{margin:.5rem 0}
summary{cursor:pointer;color:var(--muted);font-size:.9rem}
@page{margin:14mm}
@media print{:root{color-scheme:light;--page:#fff;--ink:#000;--muted:#444;--rule:#bbb;
--raised:#f3f4f6;--contrastive:#2a78d6;--relative:#d9541e;--mixed:#16865c;--equivariant:#6a4bd0;
--good:#1a7f4b;--bad:#b3261e}
body{max-width:none;padding:0;font-size:10pt;print-color-adjust:exact}
.wide{overflow:visible}table.cells{font-size:7.5pt}th,td{padding-right:.35rem}
td.cell{min-width:0}thead{display:table-header-group}
tr,figure,li{break-inside:avoid}h2,h3,figcaption{break-after:avoid}
a[href]::after{content:" (" attr(href) ")";overflow-wrap:anywhere}
details::details-content{content-visibility:visible;display:block;block-size:auto}
summary{list-style:none}
.figures{display:block}img.sheet{min-width:0}figure{margin-bottom:8mm}svg{max-width:150mm;max-height:230mm}}
"""
