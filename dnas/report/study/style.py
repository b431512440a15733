"""What the study's page adds to the style sheet of the run report."""

STYLE = """
.mark { stroke: var(--card); stroke-width: 1; } .hollow { fill: none; stroke-width: 1.5; }
.shade { fill: currentColor; fill-opacity: .14; } .grid { stroke: currentColor; stroke-opacity: .12; }
.land { stroke: currentColor; stroke-opacity: .55; stroke-dasharray: 3 3; }
.lead { stroke: currentColor; stroke-opacity: .4; fill: none; }
.frame { stroke: currentColor; stroke-opacity: .4; fill: none; }
.picture text { fill: currentColor; }
.legend .swatch { width: 34px; height: 12px; } .legend { margin-top: 4px; }
.named { display: flex; gap: 7px; } .dot { width: 14px; height: 14px; flex: none; margin-top: 5px; }
.verdict h1 { font-size: clamp(1.25rem, 1rem + 1.2vw, 1.7rem); }
@media (min-width: 721px) { .tiles { grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); } }
.marks { list-style: none; margin: 8px auto 0; padding: 0; font-size: .88rem; }
.narrow { display: none !important; }
.arms tbody th, .runs tbody th, .pairs tbody th { overflow-wrap: anywhere; min-width: 180px; }
.arms .best > * { font-weight: 650; } .arms .land-row > * { color: var(--soft); }
.arms tr.first > * { border-top: 2px solid var(--rule); }
.arms .strip { width: 230px; height: 26px; vertical-align: middle; }
.arms td.number:last-child, .arms th.number:last-child { padding-right: 0; }
.arms .under { display: block; font-size: .8rem; color: var(--soft); font-weight: 400; }
.failed td.number, .failed th.number { text-align: left; white-space: normal; min-width: 160px; }
.found { display: grid; grid-template-columns: minmax(0, 1fr); gap: 12px; }
.found article { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 14px 16px;
  display: grid; grid-template-columns: minmax(0, 330px) minmax(0, 1fr); gap: 16px; align-items: center; }
.found article h3 { margin: 0 0 4px; } .found .card { border: 0; border-radius: 0; margin: 0; }
.found p { margin: 0; } .found pre { color: var(--soft); font-size: .8rem; margin-top: 6px; }
.after { margin-top: 12px; }
.charts figure { display: flex; flex-direction: column; } .charts .picture { margin-top: auto; }
@media (max-width: 760px) {
  .found article { grid-template-columns: minmax(0, 1fr); }
  .wide { display: none !important; } .narrow { display: block !important; max-width: 560px; margin-inline: auto; }
}
"""
