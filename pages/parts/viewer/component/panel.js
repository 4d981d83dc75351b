// The side panel: what lies on the slide, each with a switch and an opacity; flags and marks as lists.

import { MAP_NAMES, cssGradient } from "./colours.js"
import { h, icon } from "./dom.js"
import { boundsOf, measure } from "./marks.js"

const LAYERS = [
  ["heat", "Model probability", "H"],
  ["attention", "Attention (relative)", ""],
  ["artefact", "Artefacts", "Q"],
  ["tissue", "Tissue outline", ""],
  ["flags", "Flagged places", ""],
  ["marks", "Annotations", ""],
]

export class Panel {
  /** @param act {set(name, value), setClass(name, isOn), go(rectangle), select(mark)} */
  constructor(act) {
    this.act = act
    this.rows = new Map()
    this.layersBox = h("section", { "aria-label": "Layers" }, h("h3", {}, "Layers"))
    for (const [name, label, key] of LAYERS) this.layersBox.append(this.row(name, label, key))
    this.flagsBox = h("section", { "aria-label": "Flagged places" })
    this.marksBox = h("section", { "aria-label": "Annotations" })
    this.element = h("aside", { class: "panel", "aria-label": "Layers and annotations" }, this.layersBox, this.flagsBox, this.marksBox)
  }

  row(name, label, key) {
    const toggle = h("input", { type: "checkbox", role: "switch", class: "switch", "data-layer": name, onchange: event => this.act.set(`${name}.on`, event.target.checked) })
    const opacity = h("input", { type: "range", min: 0, max: 1, step: 0.05, "aria-label": `${label}: opacity`, "data-opacity": name, oninput: event => this.act.set(`${name}.opacity`, Number(event.target.value)) })
    const detail = h("div", { class: "detail" })
    const note = h("p", { class: "note", hidden: true })
    const row = h("div", { class: "layer-row" }, h("label", { class: "head" }, toggle, h("span", {}, label), key && h("kbd", {}, key)), opacity, detail, note)
    this.rows.set(name, { row, toggle, opacity, detail, note })
    return row
  }

  /** Bring the rows in line with the settings and with what the slide has. */
  update(settings, slide, state) {
    for (const [name] of LAYERS) {
      const { toggle, opacity, note, row } = this.rows.get(name)
      const reason = state.missing[name] ?? null
      toggle.checked = settings[name].on && reason === null
      toggle.disabled = reason !== null
      opacity.value = settings[name].opacity
      opacity.disabled = toggle.disabled
      opacity.style.setProperty("--fill", `${settings[name].opacity * 100}%`)
      row.dataset.on = toggle.checked
      row.hidden = name === "attention" && reason !== null // few slides have it: no row instead of a dead one
      note.hidden = reason === null
      note.textContent = reason ?? ""
    }
    this.heatDetail(settings, slide, state)
    this.attentionDetail(state)
    this.artefactDetail(slide, settings)
    this.flags(slide)
    this.marks(slide, state)
  }

  heatDetail(settings, slide, state) {
    const { detail } = this.rows.get("heat")
    const heat = settings.heat
    const key = JSON.stringify([slide.slide_id, state.classes, heat.class, heat.map, state.missing.heat])
    if (detail.dataset.key !== key) {
      detail.dataset.key = key
      const choose = (label, name, options, value) =>
        h("label", { class: "field" }, h("span", {}, label), h("select", { "data-field": name, onchange: event => this.act.set(name, event.target.value) }, options.map(([id, text]) => h("option", { value: id, selected: id === value }, text))))
      detail.replaceChildren(
        ...(state.classes.length
          ? [
              choose("Class", "heat.class", state.classes.map(name => [name, name]), heat.class),
              choose("Colours", "heat.map", Object.entries(MAP_NAMES), heat.map),
              h("label", { class: "field" }, h("span", {}, "Show from"), h("input", { type: "range", min: 0, max: 1, step: 0.01, "data-field": "heat.threshold", "aria-label": "Lowest probability shown", oninput: event => this.act.set("heat.threshold", Number(event.target.value)) }), h("output", {})),
              h("div", { class: "colourbar", role: "img", "aria-label": "Colour bar from 0 to 1" }, h("i", { style: `background:${cssGradient(heat.map)}` }), h("b", { class: "cut" }), h("div", {}, h("span", {}, "0"), h("span", {}, "probability"), h("span", {}, "1"))),
            ]
          : []),
      )
    }
    const slider = detail.querySelector("[data-field='heat.threshold']")
    if (slider) {
      slider.value = heat.threshold
      slider.style.setProperty("--fill", `${heat.threshold * 100}%`)
      detail.querySelector("output").textContent = heat.threshold.toFixed(2)
      detail.querySelector(".cut").style.width = `${heat.threshold * 100}%`
    }
  }

  attentionDetail({ highest }) {
    const { detail } = this.rows.get("attention")
    const key = String(highest)
    if (detail.dataset.key === key) return
    detail.dataset.key = key
    const most = highest === null ? "highest" : `highest here: ${(100 * highest).toPrecision(2)} %`
    detail.replaceChildren(
      h("div", { class: "colourbar", role: "img", "aria-label": "Colour bar of attention, from 0 to the highest of this slide" }, h("i", { style: `background:${cssGradient("attention")}` }), h("div", {}, h("span", {}, "0"), h("span", {}, most))),
      h("p", { class: "note" }, "Share of the aggregator's attention, relative to this slide's other tiles. It is no probability and no explanation."),
    )
  }

  artefactDetail(slide, settings) {
    const { detail } = this.rows.get("artefact")
    const classes = slide.artefacts ?? []
    detail.hidden = !settings.artefact.on || !classes.length
    const key = JSON.stringify([slide.slide_id, classes, slide.has_disagreement])
    if (detail.dataset.key !== key) {
      detail.dataset.key = key
      const maps = [["found", "What was found"], ["differs", "Where the network differs"]]
      const choice = h("select", { "data-field": "artefact.map", "aria-label": "Artefact map", onchange: event => this.act.set("artefact.map", event.target.value) }, maps.map(([id, text]) => h("option", { value: id }, text)))
      detail.replaceChildren(...(slide.has_disagreement ? [choice] : []), h("ul", { class: "legend" }, classes.map(one => this.classEntry(one))), h("p", { class: "note" }, "Shares are of the tissue."))
    }
    const choice = detail.querySelector("[data-field='artefact.map']")
    if (choice) choice.value = settings.artefact.map
    for (const box of detail.querySelectorAll("input")) box.checked = !settings.artefact.off.includes(box.dataset.artefact)
  }

  classEntry({ key, name, colour, measured }) {
    return h(
      "li",
      {},
      h(
        "label",
        { class: "class-entry" },
        h("input", { type: "checkbox", "data-artefact": key, onchange: event => this.act.setClass(key, event.target.checked) }),
        h("i", { style: `background:${colour}` }),
        h("span", {}, name, h("small", {}, measured)),
      ),
    )
  }

  flags(slide) {
    const key = JSON.stringify(slide.flags)
    if (this.flagsBox.dataset.key === key) return
    this.flagsBox.dataset.key = key
    this.flagsBox.hidden = !slide.flags.length
    this.flagsBox.replaceChildren(
      h("h3", {}, "Flagged places"),
      h("ol", { class: "list" }, slide.flags.map(flag => h("li", {}, h("button", { class: "entry", onclick: () => this.act.go(flag) }, h("b", { class: "number" }, String(flag.number)), h("span", {}, h("strong", {}, flag.title), h("small", {}, flag.reason)))))),
    )
  }

  marks(slide, state) {
    const key = JSON.stringify([slide.marks, state.selected, state.mpp])
    if (this.marksBox.dataset.key === key) return
    this.marksBox.dataset.key = key
    this.marksBox.replaceChildren(
      h("h3", {}, "Annotations"),
      slide.marks.length ? h("ul", { class: "list" }, slide.marks.map(mark => this.markEntry(mark, state))) : h("p", { class: "note" }, state.canMark ? "None yet. Choose a tool above the slide." : "None."),
    )
  }

  markEntry(mark, state) {
    const kind = { Point: "point", LineString: "line", Polygon: "polygon", MultiPolygon: "polygon" }[mark.geometry.type]
    return h(
      "li",
      {},
      h(
        "button",
        { class: "entry", "aria-pressed": String(mark.id === state.selected), onclick: () => { this.act.select(mark); this.act.go(boundsOf(mark.geometry)) } },
        icon(mark.is_rectangle ? "rectangle" : kind),
        h("span", {}, h("strong", {}, mark.label || "No label"), h("em", {}, measure(mark.geometry, state.mpp)), mark.note && h("small", {}, mark.note), h("small", { class: "by" }, mark.author ? [mark.author, mark.at].filter(Boolean).join(", ") : "not saved yet")),
      ),
    )
  }
}
