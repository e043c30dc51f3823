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
// Titles begin at the card's edge, wherever the labels of the axis end: on a phone they would be cut off otherwise.
const placeTitles = ([place, layout]) => {
  const shift = 8 - place._fullLayout._size.l;
  const changes = {};
  (layout.annotations || []).forEach((title, index) => {
    if (title.x === 0 && title.xanchor === "left") changes[`annotations[${index}].xshift`] = shift;
  });
  if (Object.keys(changes).length) Plotly.relayout(place, changes);
};
const recolour = () => drawn.forEach(([place, layout]) => Plotly.relayout(place, themed(layout)));
scheme.addEventListener("change", recolour);
recolour();
drawn.forEach(makeRoom);
drawn.forEach(placeTitles);
window.addEventListener("resize", () => { drawn.forEach(makeRoom); drawn.forEach(placeTitles); });
