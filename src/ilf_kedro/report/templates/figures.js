// Draws every figure in the page's colours, and again when the reader switches between light and dark.
const scheme = window.matchMedia("(prefers-color-scheme: dark)");
const colourOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const themed = (layout) => {
  const changes = {
    "font.color": colourOf("--ink"), paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    "hoverlabel.bgcolor": colourOf("--card"), "hoverlabel.bordercolor": colourOf("--rule"),
    "hoverlabel.font.color": colourOf("--ink"),
  };
  for (const axis of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))) {
    changes[`${axis}.gridcolor`] = colourOf("--grid");
    changes[`${axis}.zerolinecolor`] = colourOf("--rule");
    changes[`${axis}.linecolor`] = colourOf("--rule");
  }
  return changes;
};
const drawn = [...document.querySelectorAll("[data-figure]")].map((place) => {
  const figure = JSON.parse(document.getElementById(`figure-${place.dataset.figure}`).textContent);
  Plotly.newPlot(place, figure.data, figure.layout, { responsive: true, displayModeBar: false, scrollZoom: false });
  return [place, figure.layout];
});
// A legend of many lines takes its room below the panels, not from them.
const makeRoom = ([place, layout]) => {
  const legend = place.querySelector(".legend");
  const height = layout.height + Math.max(0, (legend ? legend.getBoundingClientRect().height : 0) - 30);
  if (height !== place.layout.height) Plotly.relayout(place, { height });
};
const recolour = () => drawn.forEach(([place, layout]) => Plotly.relayout(place, themed(layout)));
scheme.addEventListener("change", recolour);
recolour();
drawn.forEach(makeRoom);
window.addEventListener("resize", () => drawn.forEach(makeRoom));
