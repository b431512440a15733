"""The page's style sheet: light and dark, desktop and phone, no fonts or files from elsewhere."""

STYLE = """
:root { color-scheme: light dark; --page: #f5f6f8; --card: #ffffff; --ink: #1b2430; --soft: #5a6676; --rule: #dce1e8;
  --accent: #2563b8; --good: #1f7a50; --bad: #a84a10; --good-card: #e9f5ef; --bad-card: #fcf0e6; }
@media (prefers-color-scheme: dark) {
  :root { --page: #12161c; --card: #1b212a; --ink: #e6eaf0; --soft: #a3aebd; --rule: #333d4a;
    --accent: #7fb0f2; --good: #6bcb9c; --bad: #f0a468; --good-card: #18291f; --bad-card: #2f2216; }
  .cell .ink { fill: var(--ink); } .cell .paper { fill: var(--card); } .cell .line { stroke: var(--ink); }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.5; overflow-wrap: anywhere;
  font-family: system-ui, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: clamp(1.5rem, 1.1rem + 1.9vw, 2.2rem); line-height: 1.2; margin: 0 0 12px; text-wrap: balance; }
h2 { font-size: 1.3rem; margin: 48px 0 8px; } h3 { font-size: 1.05rem; margin: 24px 0 8px; }
p { margin: 0 0 12px; max-width: 75ch; } a { color: var(--accent); }
.over { color: var(--soft); margin-bottom: 6px; } .soft { color: var(--soft); }
h3 .soft { font-weight: 400; font-size: .88rem; }
.verdict { background: var(--card); border: 1px solid var(--rule); border-left: 6px solid var(--accent);
  border-radius: 12px; padding: 22px 24px 12px; }
.verdict.won { border-left-color: var(--good); } .verdict.lost { border-left-color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(156px, 1fr)); gap: 12px; margin: 16px 0 0; }
.tile { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 12px 14px; }
.tile dt { color: var(--soft); font-size: .85rem; } .tile dd { margin: 0; }
.tile .value { font-size: 1.25rem; font-weight: 650; white-space: nowrap; } .tile .note { font-size: .85rem; }
.card, figure { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; margin: 0; }
.card { padding: 14px 16px; margin-bottom: 12px; }
.scroll { overflow-x: auto; }
.cell { padding: 0; } .cell svg { display: block; max-width: 100%; height: auto; margin: 0 auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 7px 14px 7px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
tr:last-child > * { border-bottom: 0; } thead th { color: var(--soft); font-size: .85rem; font-weight: 500; }
td.number, th.number { text-align: right; white-space: nowrap; } tbody th { font-weight: 500; }
.comparison { min-width: 720px; } .comparison th { white-space: nowrap; } .comparison .mine > * { font-weight: 650; }
.comparison svg { width: 190px; height: 22px; vertical-align: middle; }
.values { font-size: .9rem; table-layout: fixed; } 
.values th { width: 50%; font-weight: 400; color: var(--soft); }
.columns { columns: 2; column-gap: 12px; } .columns .card { break-inside: avoid; } .columns h3 { margin-top: 0; }
pre { white-space: pre-wrap; margin: 0; font-size: .88rem; line-height: 1.6;
  font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
pre.command { user-select: all; -webkit-user-select: all; font-size: .95rem; }
.charts { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 12px; }
figure { padding: 12px 14px; min-width: 0; } figcaption { font-weight: 600; }
figure svg { display: block; width: 100%; height: auto; margin-top: 6px; stroke-linejoin: round; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; list-style: none; margin: 0; padding: 0; font-size: .88rem; }
.legend li { display: flex; align-items: center; gap: 6px; }
.legend svg { width: 30px; height: 10px; margin: 0; flex: none; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(140px, 1fr)); gap: 10px; margin-top: 12px; }
.panels figure { padding: 8px; display: flex; flex-direction: column; }
.panels svg { margin-top: auto; padding-top: 4px; } .panels figcaption { font-size: .88rem; line-height: 1.35; }
.panels .kept { border-color: var(--accent); box-shadow: 0 0 0 1px var(--accent); }
.panels figcaption span { display: block; font-weight: 400; font-size: .78rem; }
.decisions td { text-align: left; } .decisions th, .decisions td { vertical-align: middle; }
.decisions td:last-child { width: 60%; padding-right: 0; } .decisions th:not(:first-child) { text-align: left; }
.options { list-style: none; margin: 0; padding: 0; font-size: .88rem; }
.options li { display: grid; grid-template-columns: minmax(5.5rem, 30%) 1fr 3rem; gap: 8px; align-items: center; }
.options i { height: .55rem; border-radius: 3px; background: var(--soft); opacity: .45; min-width: 1px; }
.options b { font-weight: 400; text-align: right; } .options .mine span, .options .mine b { font-weight: 650; }
.options .mine i { background: var(--accent); opacity: 1; }
.decided { grid-template-columns: repeat(auto-fill, minmax(190px, 1fr)); } .decided .legend { font-size: .78rem; }
.decided .legend svg { padding: 0; margin: 0; }
sub { line-height: 0; } summary { cursor: pointer; color: var(--accent); }
.checks { list-style: none; margin: 0; padding: 0; }
.checks li { border-radius: 10px; padding: 10px 14px; margin-bottom: 8px; border-left: 5px solid; }
.checks .warning { background: var(--bad-card); border-color: var(--bad); }
.checks .fine { background: var(--good-card); border-color: var(--good); }
@media (max-width: 720px) {
  main { padding: 16px 12px 48px; } .verdict { padding: 16px 16px 6px; } h2 { margin-top: 36px; }
  .charts { grid-template-columns: minmax(0, 1fr); } .columns { columns: 1; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); } .tile .value { font-size: 1.1rem; }
  .cell svg { max-width: none; }
}
@media print { .card, figure, .tile { break-inside: avoid; } }
"""
