"""The style sheet of the page: light and dark, wide and narrow."""

from __future__ import annotations

__all__ = ["STYLESHEET"]

STYLESHEET = """
:root{--bg:#f3f4f7;--card:#fdfdfe;--ink:#1f2530;--muted:#5d6675;--line:#e3e6eb;--accent:#0a6bb0;
--good:#0f8a64;--bad:#b4341a;--tint:#e08a1e}
@media (prefers-color-scheme:dark){:root{--bg:#0f1217;--card:#171b22;--ink:#e8eaee;--muted:#a3acba;
--line:#2e3541;--accent:#6bb8f2;
--good:#39cc9f;--bad:#ff8a6b;--tint:#f0a63c}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",
Roboto,"Helvetica Neue",sans-serif}
header,main,footer{max-width:1180px;margin:0 auto;padding:0 20px}
header{padding-top:44px}
h1{font-size:2.1rem;line-height:1.15;margin:0 0 8px;letter-spacing:-.02em}
h2{font-size:1.35rem;margin:0 0 10px;letter-spacing:-.01em}
h3{font-size:1.05rem;margin:0 0 6px}
header p{color:var(--muted);max-width:46em;margin:0 0 20px}
.tiles{display:flex;flex-wrap:wrap;gap:12px;margin-bottom:22px}
.tiles div{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:10px 18px;
min-width:116px;flex:0 1 auto}
.tiles b{display:block;font-size:1.45rem;font-variant-numeric:tabular-nums;line-height:1.25}
.tiles span{color:var(--muted);font-size:.86rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:20px 22px;
margin:0 0 18px;scroll-margin-top:12px}
.lead{border-left:4px solid var(--accent)}
.lead li{font-size:1.04rem}
ul{margin:0;padding-left:1.15em}
li{margin:5px 0}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
.toc{list-style:none;padding:0;columns:3 280px;column-gap:28px}
.toc>li{break-inside:avoid;margin:0 0 10px}.toc>li>a{font-weight:600}
.toc ul{list-style:none;padding-left:12px;font-size:.92rem}.toc ul li{margin:2px 0}
.suite{margin-top:44px;scroll-margin-top:12px}
.suite>h2{font-size:1.7rem;text-transform:capitalize;margin-bottom:2px}
.intro,.facts{color:var(--muted);margin:0 0 14px}.facts{font-size:.92rem}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:22px 26px;
align-items:start}
figure{margin:0;min-width:0}
figure svg{display:block;width:100%;height:auto;max-width:620px}
figcaption{color:var(--muted);font-size:.87rem;line-height:1.45;margin-top:4px;max-width:620px}
.scroll{overflow-x:auto;margin:6px -6px;padding:0 6px;-webkit-overflow-scrolling:touch}
table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums;white-space:nowrap;
min-width:100%}
th,td{padding:6px 8px;text-align:right;border-bottom:1px solid var(--line)}
thead th{color:var(--muted);font-weight:600;font-size:.8rem;vertical-align:bottom;white-space:normal;
border-bottom:2px solid var(--line)}
th:first-child{text-align:left;position:sticky;left:0;background:var(--card)}
tbody th{font-weight:600;white-space:normal;min-width:9.5em}
tbody tr:last-child>*{border-bottom:0}
.wordy tbody th{min-width:17em}.wordy td:not(:last-child){white-space:normal}
td.shade{background:color-mix(in srgb,var(--tint) calc(var(--t)*46%),transparent)}
td.best{color:var(--good);font-weight:700;background:color-mix(in srgb,var(--good) 14%,transparent)}
td.bad{color:var(--bad);font-weight:600}
.note{color:var(--muted);font-size:.87rem;margin:8px 0 0}
details{margin-top:14px;border-top:1px solid var(--line);padding-top:10px}
summary{cursor:pointer;font-weight:600;color:var(--accent)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 18px;margin:0;font-size:.93rem}
dt{color:var(--muted)}dd{margin:0}
code{font-size:.92em;background:color-mix(in srgb,var(--ink) 8%,transparent);padding:1px 5px;
border-radius:5px}
footer{color:var(--muted);font-size:.88rem;padding-bottom:40px}
@media (max-width:640px){header{padding-top:26px}h1{font-size:1.6rem}header,main,footer{padding-left:12px;
padding-right:12px}
.card{padding:15px 14px;border-radius:12px}.tiles div{flex:1 1 40%;padding:9px 13px}.toc{columns:1}
tbody th:first-child{max-width:44vw;white-space:normal}}
@media print{body{background:#fff}.card{break-inside:avoid;border-color:#ccc}}
"""
