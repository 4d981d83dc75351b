// Part of the viewer: what lies on the slides, and what the pointer is over.

import { rgb, table } from "./colours.js"
import { h } from "./dom.js"
import { codeAt, codePainter, probabilityAt, probabilityPainter, unpack } from "./lattice.js"
import { drawMarks } from "./marks.js"

const SETTINGS_KEY = "second-read:viewer"
const OPACITIES = [0.2, 0.4, 0.6, 0.8]
const DEFAULTS = {
  heat: { on: true, opacity: 0.4, class: null, map: "red", threshold: 0 },
  attention: { on: false, opacity: 0.6 },
  artefact: { on: false, opacity: 0.5, off: [], map: "found" },
  tissue: { on: false, opacity: 0.9 },
  flags: { on: true, opacity: 1 },
  marks: { on: true, opacity: 1 },
  panel: true,
  gallery: true,
}

export class Layering {
  set(name, value) {
    const path = name.split(".")
    const last = path.pop()
    path.reduce((part, key) => part[key], this.settings)[last] = value
    saveSettings(this.settings, this.settingsKey)
    this.refresh()
  }

  /** Which of the two artefact maps lies on a pane. */
  qualityKind(pane) {
    return this.settings.artefact.map === "differs" && pane.slide.has_disagreement ? "disagreement" : "quality"
  }

  /** One painter for as long as the same classes are on: the picture of a large map is then made once. */
  artefactPainter(pane) {
    const key = JSON.stringify([pane.slide.artefacts, this.settings.artefact.off])
    if (pane.artefactKey !== key) {
      pane.artefactKey = key
      pane.artefactPainter = codePainter(artefactColours(pane.slide.artefacts, this.settings.artefact.off))
    }
    return pane.artefactPainter
  }

  /** Show or hide one class of artefact; the others stay as they are. */
  setClass(name, isOn) {
    const off = this.settings.artefact.off.filter(one => one !== name)
    this.set("artefact.off", isOn ? off : [...off, name])
  }

  toggle(layer) {
    if (this.missing(this.active)[layer]) {
      this.say(this.missing(this.active)[layer])
      return
    }
    this.set(`${layer}.on`, !this.settings[layer].on)
    this.say(`${layer === "heat" ? "Model probability" : "Artefacts"} ${this.settings[layer].on ? "on" : "off"}`)
  }

  nextOpacity() {
    const current = this.settings.heat.opacity
    const next = OPACITIES.find(value => value > current + 0.01) ?? OPACITIES[0]
    this.settings.artefact.opacity = next
    this.set("heat.opacity", next)
    this.say(`Opacity ${Math.round(next * 100)} percent`)
  }

  /** Why a layer of a pane cannot be shown, in a sentence; null where it can. */
  missing(pane) {
    const noScale = pane?.info && !pane.info.mpp ? "The tissue outline needs the slide's scale, which is unknown." : null
    return { heat: pane?.slide.no_model ?? null, attention: pane?.slide.no_attention ?? null, artefact: pane?.slide.no_quality ?? null, tissue: noScale, flags: null, marks: null }
  }

  /** A tile grid of a slide, loaded once; null until it is there. */
  grid(pane, kind) {
    const id = pane.slide.slide_id
    const run = ["quality", "disagreement"].includes(kind) ? pane.slide.quality_id : pane.slide.run_id
    if (!run) return null
    const key = `${id}/${run}/${kind}`
    if (!this.grids.has(key)) {
      this.grids.set(key, null)
      pane.server
        .get(`layers/${encodeURIComponent(run)}/${kind}`)
        .then(response => response.arrayBuffer())
        .then(buffer => this.grids.set(key, unpack(buffer)))
        .catch(() => setTimeout(() => this.grids.delete(key), 5000))
        .finally(() => this.refresh())
    }
    return this.grids.get(key)
  }

  outline(pane) {
    const id = pane.slide.slide_id
    if (!this.outlines.has(id)) {
      this.outlines.set(id, null)
      pane.server
        .get("layers/tissue")
        .then(response => response.json())
        .then(({ rings }) => this.outlines.set(id, rings))
        .catch(() => setTimeout(() => this.outlines.delete(id), 5000))
        .finally(() => this.refresh())
    }
    return this.outlines.get(id)
  }

  classOf(pane, lattice) {
    const { classes } = lattice.header
    const wanted = this.settings.heat.class
    if (classes.includes(wanted)) return wanted
    return classes.includes(pane.slide.positive) ? pane.slide.positive : classes.at(-1)
  }

  refresh() {
    if (this.destroyed) return
    cancelAnimationFrame(this.frame)
    this.frame = requestAnimationFrame(() => this.draw())
  }

  draw() {
    for (const pane of this.panes) if (pane.image) this.drawPane(pane)
    const pane = this.active
    this.root.dataset.panel = this.settings.panel
    this.root.dataset.gallery = this.settings.gallery
    this.panelButton.setAttribute("aria-pressed", String(this.settings.panel))
    this.galleryButton.setAttribute("aria-pressed", String(this.settings.gallery))
    if (!pane) return
    const slide = { ...pane.slide, marks: this.marksOf(pane) }
    const lattice = pane.image && this.settings.heat.on && !slide.no_model ? this.grid(pane, "model") : null
    const settings = lattice ? { ...this.settings, heat: { ...this.settings.heat, class: this.classOf(pane, lattice) } } : this.settings
    const attention = pane.image && this.settings.attention.on && !slide.no_attention ? this.grid(pane, "attention") : null
    this.panel.update(settings, slide, { missing: this.missing(pane), highest: attention?.header.highest ?? null, classes: lattice?.header.classes ?? [], selected: this.selected?.id, mpp: pane.info?.mpp ?? null, canMark: this.data.can_mark })
    this.gallery.update(pane)
    this.showStatus()
  }

  drawPane(pane) {
    const { heat, attention, artefact, tissue, flags, marks } = this.settings
    const none = this.missing(pane)
    const shown = layer => layer.on && !pane.isPlain
    const wantsHeat = shown(heat) && !none.heat
    const lattice = wantsHeat ? this.grid(pane, "model") : null
    const plane = lattice ? lattice.header.classes.indexOf(this.classOf(pane, lattice)) : 0
    pane.setGrid("heat", { lattice, plane, painter: probabilityPainter(table(heat.map), heat.threshold), visible: wantsHeat, opacity: heat.opacity })
    const wantsAttention = shown(attention) && !none.attention
    const weights = wantsAttention ? this.grid(pane, "attention") : null
    pane.setGrid("attention", { lattice: weights, plane: 0, painter: probabilityPainter(table("attention"), 0), visible: wantsAttention, opacity: attention.opacity })
    const wantsArtefact = shown(artefact) && !none.artefact
    const quality = wantsArtefact ? this.grid(pane, this.qualityKind(pane)) : null
    pane.setGrid("artefact", { lattice: quality, plane: 0, painter: this.artefactPainter(pane), visible: wantsArtefact, opacity: artefact.opacity })
    const wantsTissue = shown(tissue) && !none.tissue
    pane.setOutline({ rings: wantsTissue ? this.outline(pane) : null, visible: wantsTissue, opacity: tissue.opacity })
    pane.marks.style.opacity = marks.opacity
    pane.marks.style.display = shown(marks) || this.draft?.pane === pane ? "" : "none"
    pane.pins.style.opacity = flags.opacity
    pane.pins.hidden = !shown(flags)
    this.buildPins(pane)
    this.placeMarks(pane)
  }

  buildPins(pane) {
    const key = JSON.stringify(pane.slide.flags)
    if (pane.pins.dataset.key === key) return
    pane.pins.dataset.key = key
    pane.pins.replaceChildren(
      ...pane.slide.flags.map(flag =>
        h(
          "button",
          {
            class: "pin",
            title: `${flag.title}: ${flag.reason}`,
            "aria-label": `Flag ${flag.number}, ${flag.title}: ${flag.reason}`,
            onpointerdown: event => event.stopPropagation(),
            onclick: () => {
              this.activate(pane)
              pane.goTo(flag)
            },
          },
          String(flag.number),
        ),
      ),
    )
  }

  placeMarks(pane) {
    if (!pane.image) return
    const draft = this.draft?.pane === pane && this.draft.geometry ? { geometry: this.draft.geometry, label: "" } : null
    drawMarks(pane, this.marksOf(pane), { selected: this.selected?.id, draft })
    pane.slide.flags.forEach((flag, i) => {
      const at = pane.toScreen([flag.x + flag.width / 2, flag.y + flag.height / 2])
      const pin = pane.pins.children[i]
      if (pin) pin.style.transform = `translate(${at.x}px, ${at.y}px)`
    })
  }

  hover(pane, at) {
    if (at && this.tool !== "hand" && this.draft?.pane === pane && this.draft.points.length && !this.draft.from) {
      this.draft.pointer = at
      this.placeMarks(pane)
    }
    if (at) this.activateQuietly(pane)
    this.pointer = at ? { pane, at } : null
    this.showStatus()
  }

  activateQuietly(pane) {
    if (this.panes.length > 1) this.activate(pane)
  }

  showStatus() {
    const pane = this.active
    if (!pane?.image) return
    const parts = Object.fromEntries([...this.status.children].map(element => [element.dataset.part, element]))
    const { mpp, mpp_source: source } = pane.info
    const unknown = mpp ? null : "Scale unknown: no lengths, only pixels"
    parts.scale.textContent = unknown ?? `${mpp[0].toFixed(4)}${mpp[0] === mpp[1] ? "" : ` × ${mpp[1].toFixed(4)}`} µm/px (${source})`
    parts.scale.dataset.unknown = unknown !== null
    const at = this.pointer?.pane === pane ? this.pointer.at : null
    parts.place.textContent = at ? `x ${thousands(at[0])}, y ${thousands(at[1])} px` : `${thousands(pane.info.width)} × ${thousands(pane.info.height)} px`
    parts.value.textContent = at ? this.valueText(pane, at) : ""
  }

  valueText(pane, [x, y]) {
    const parts = []
    const { heat, attention, artefact } = this.settings
    const model = heat.on && !pane.slide.no_model && !pane.isPlain ? this.grid(pane, "model") : null
    if (model) {
      const name = this.classOf(pane, model)
      const value = probabilityAt(model, model.header.classes.indexOf(name), x, y)
      parts.push(value === null ? `${name}: no tile here` : `${name} ${value.toFixed(3)}`)
    }
    const weights = attention.on && !pane.slide.no_attention && !pane.isPlain ? this.grid(pane, "attention") : null
    if (weights) {
      const value = probabilityAt(weights, 0, x, y)
      if (value !== null) parts.push(`attention ${Math.round(100 * value)} % of the highest here`)
    }
    const quality = artefact.on && !pane.slide.no_quality && !pane.isPlain ? this.grid(pane, this.qualityKind(pane)) : null
    if (quality) {
      const code = codeAt(quality, x, y)
      const name = (pane.slide.artefacts ?? []).find(one => one.code === code)?.name
      if (code !== null) parts.push(name ?? "no artefact")
    }
    return parts.join(" · ")
  }
}

/** What a code is painted with: nothing where its class is switched off or has none. */
function artefactColours(classes, off) {
  const colours = new Map((classes ?? []).filter(one => !off.includes(one.key)).map(one => [one.code, rgb(one.colour)]))
  return code => colours.get(code) ?? null
}

function thousands(number) {
  return Math.round(number).toLocaleString("en")
}

/** Where a viewer keeps its settings: one that starts with other layers than the rest keeps them apart. */
export function settingsKey({ viewer_key: viewer, initial }) {
  return initial ? `${SETTINGS_KEY}:${viewer}` : SETTINGS_KEY
}

export function loadSettings(key, initial) {
  const settings = structuredClone(DEFAULTS)
  for (const [path, value] of Object.entries(initial ?? {})) {
    const parts = path.split(".")
    const last = parts.pop()
    parts.reduce((part, name) => part[name], settings)[last] = value
  }
  try {
    const kept = JSON.parse(localStorage.getItem(key)) ?? {}
    for (const [name, value] of Object.entries(kept)) {
      if (typeof settings[name] === "object") Object.assign(settings[name], value)
      else if (name in settings) settings[name] = value
    }
  } catch {
    // Storage may be forbidden or hold something else: the defaults serve.
  }
  return settings
}

function saveSettings(settings, key) {
  try {
    localStorage.setItem(key, JSON.stringify(settings))
  } catch {
    // Not kept for the next visit.
  }
}
