// Bundled with Vega, Vega-Lite and vega-embed by vl-convert, which gives it the name vegaEmbed.
// The chart is data: its expressions are interpreted, not compiled, so that the policy need not allow eval.
const spec = JSON.parse(document.getElementById("spec").textContent);
vegaEmbed("#chart", spec, {
  mode: "vega-lite",
  actions: false,
  ast: true,
  defaultStyle: false,
  tooltip: { disableDefaultStyle: true },
});
