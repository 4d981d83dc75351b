// The slide viewer: puts the panes, the layers, the tools and the page together.

import { category, table } from "./colours.js"
import { h, icon } from "./dom.js"
import { Outbox } from "./events.js"
import { MarkForm } from "./form.js"
import { Gallery } from "./gallery.js"
import { helpBox, press } from "./keys.js"
import { codeAt, codePainter, probabilityAt, probabilityPainter, unpack } from "./lattice.js"
import { Link } from "./link.js"
import { Draft, TOOLS, boundsOf, drawMarks, markAt } from "./marks.js"
import { Pane } from "./pane.js"
import { Panel } from "./panel.js"

const SETTINGS_KEY = "second-read:viewer"
const OPACITIES = [0.2, 0.4, 0.6, 0.8]
const PING_MS = 5000
const DRAG_PX = 4
const NARROW_PX = 760 // as in the style sheet: the panel then lies over the slide
const DEFAULTS = {
  heat: { on: true, opacity: 0.4, class: null, map: "red", threshold: 0 },
  artefact: { on: false, opacity: 0.5 },
  tissue: { on: false, opacity: 0.9 },
  flags: { on: true, opacity: 1 },
  marks: { on: true, opacity: 1 },
  panel: true,
  gallery: true,
}

/** Load OpenSeadragon once for the whole page, from this server. */
function openSeadragon(base) {
  if (window.OpenSeadragon) return Promise.resolve(window.OpenSeadragon)
  window.secondReadOpenSeadragon ??= new Promise((resolve, reject) => {
    const script = document.createElement("script")
    script.src = `${base}openseadragon.js`
    script.onload = () => resolve(window.OpenSeadragon)
    script.onerror = () => reject(new Error("OpenSeadragon is not installed. Run python -m core.setup_assets once, then restart the dashboard."))
    document.head.append(script)
  })
  return window.secondReadOpenSeadragon
}

export async function createViewer(root, { base, component }) {
  const OpenSeadragon = await openSeadragon(base)
  return new Viewer(root, { OpenSeadragon, base: new URL("../../", base).href, component })
}

class Viewer {
  constructor(root, { OpenSeadragon, base, component }) {
    this.root = root
    this.osd = OpenSeadragon
    this.base = base
    this.data = component.data
    this.settings = loadSettings()
    this.outbox = new Outbox()
    this.panes = []
    this.grids = new Map()
    this.outlines = new Map()
    this.pending = []
    this.gone = new Set()
    this.split = "none"
    this.tool = "hand"
    this.draft = null
    this.selected = null
    this.link = null
    if (root.clientWidth < NARROW_PX) this.settings.panel = false
    this.build()
    this.listen()
    this.showSlide(this.data.slide)
  }

  // -- elements ---------------------------------------------------------------------------------------------------

  build() {
    this.panel = new Panel({
      set: (name, value) => this.set(name, value),
      go: place => this.goTo(place),
      select: mark => this.select(mark),
    })
    this.gallery = new Gallery({ go: place => this.goTo(place) })
    this.form = new MarkForm()
    this.host = h("div", { class: "panes" })
    this.banner = h("div", { class: "banner", role: "alert", hidden: true })
    this.hint = h("div", { class: "hint", role: "status", hidden: true })
    this.spoken = h("div", { class: "spoken", role: "status" })
    this.status = h("div", { class: "status" }, h("span", { "data-part": "value" }), h("span", { "data-part": "place" }), h("span", { "data-part": "scale" }))
    this.help = helpBox(() => this.toggleHelp())
    this.help.hidden = true
    const stage = h("div", { class: "stage-box" }, this.host, h("div", { class: "notices" }, this.banner, this.hint), this.form.element, this.help)
    this.root.replaceChildren(this.toolbar(), h("div", { class: "body" }, stage, this.panel.element), this.status, this.gallery.element, this.spoken)
  }

  toolbar() {
    const button = (name, label, onclick, attributes = {}) => h("button", { class: "tool", title: label, "aria-label": label, onclick, ...attributes }, icon(name))
    this.toolButtons = Object.entries(TOOLS).map(([name, { label, key }]) =>
      button(name, `${label} (${key})`, () => this.setTool(name), { "data-tool": name, "aria-pressed": String(name === "hand") }),
    )
    this.splitChoice = h("select", { "aria-label": "Side by side", title: "Side by side (S)", onchange: event => this.setSplit(event.target.value) })
    this.linkButton = button("link", "Move both together", () => this.setLinked(!this.link?.isOn), { "aria-pressed": "true", hidden: true })
    this.panelButton = button("layers", "Layers and annotations", () => this.set("panel", !this.settings.panel), { "aria-pressed": "true" })
    this.galleryButton = button("gallery", "Tile gallery", () => this.set("gallery", !this.settings.gallery), { "aria-pressed": "true" })
    const group = (label, ...children) => h("div", { class: "group", role: "group", "aria-label": label }, children)
    return h(
      "div",
      { class: "toolbar", role: "toolbar", "aria-label": "Slide tools" },
      group("Tools", this.toolButtons),
      group(
        "View",
        button("minus", "Zoom out (-)", () => this.active.zoomBy(1 / 1.5)),
        button("plus", "Zoom in (+)", () => this.active.zoomBy(1.5)),
        h("button", { class: "tool wide", title: "One slide pixel per screen pixel (1)", onclick: () => this.active.setView({ zoom: 1 }) }, "1:1"),
        button("fit", "Whole slide (0)", () => this.active.fit()),
        button("rotateBack", "Turn left by 90° (Shift R)", () => this.active.rotateBy(-90)),
        button("rotate", "Turn right by 90° (R)", () => this.active.rotateBy(90)),
      ),
      group("Compare", h("label", { class: "choice" }, icon("split"), this.splitChoice), this.linkButton),
      h("span", { class: "grow" }),
      group("Window", this.galleryButton, this.panelButton, button("help", "Keys (?)", () => this.toggleHelp()), button("full", "Full screen (F)", () => this.toggleFullScreen())),
    )
  }

  listen() {
    this.keyListener = event => {
      const isInside = event.composedPath().includes(this.root)
      if (press(this, event, isInside)) event.preventDefault()
    }
    document.addEventListener("keydown", this.keyListener)
    this.onVisible = () => !document.hidden && this.ping()
    document.addEventListener("visibilitychange", this.onVisible)
    this.pinging = setInterval(() => !document.hidden && this.ping(), PING_MS)
  }

  // -- what the page says -----------------------------------------------------------------------------------------

  update(component) {
    const previous = this.data
    this.data = component.data
    this.outbox.connect(component.setTriggerValue, this.data.ack)
    this.pending = this.pending.filter(mark => !this.known(mark.id))
    if (this.data.slide !== previous.slide) this.showSlide(this.data.slide)
    for (const pane of this.panes) {
      const slide = this.slideData(pane.slide.slide_id)
      if (!slide) continue
      pane.slide = slide
      pane.setToken(slide.token)
    }
    this.root.style.setProperty("--height", `${this.data.height}px`)
    clearTimeout(this.renewal)
    this.renewal = setTimeout(() => this.renew(), this.data.token_life_s * 700)
    this.splitOptions()
    this.jump()
    this.refresh()
  }

  slideData(id) {
    return this.data.slides.find(slide => slide.slide_id === id)
  }

  known(id) {
    return this.data.slides.some(slide => slide.marks.some(mark => mark.id === id))
  }

  jump() {
    const jump = this.data.jump
    const pane = this.panes.find(candidate => candidate.slide.slide_id === jump?.slide_id)
    if (!jump || this.jumped === jump.seq || !pane?.image) return
    const key = `second-read:jump:${this.data.viewer_key}`
    this.jumped = jump.seq
    if (sessionStorage.getItem(key) === String(jump.seq)) return
    sessionStorage.setItem(key, String(jump.seq))
    this.active = pane
    pane.goTo(jump)
  }

  renew() {
    const now = Date.now()
    if (now - (this.renewedAt ?? 0) < Math.min(3000, this.data.token_life_s * 300)) return
    this.renewedAt = now
    this.outbox.post("renew")
  }

  // -- panes ------------------------------------------------------------------------------------------------------

  showSlide(id) {
    this.panes.forEach(pane => pane.destroy())
    this.panes = []
    this.root.dataset.ready = "false"
    this.stop()
    this.panes.push(this.newPane(this.slideData(id)))
    this.active = this.panes[0]
    if (this.split !== "none") this.setSplit(this.split === id ? "none" : this.split)
  }

  newPane(slide) {
    return new Pane(this.host, {
      OpenSeadragon: this.osd,
      base: this.base,
      slide,
      on: {
        ready: pane => this.paneReady(pane),
        view: pane => this.paneMoved(pane),
        hover: (pane, at) => this.hover(pane, at),
        press: (pane, event) => this.pointerDown(pane, event),
        drag: (pane, event) => this.pointerDrag(pane, event),
        release: (pane, event) => this.pointerUp(pane, event),
        click: (pane, event) => this.pointerClick(pane, event),
        doubleClick: (pane, event) => this.doubleClick(pane, event),
        focus: pane => this.activate(pane),
        trouble: (pane, kind) => (kind === "permission" ? this.renew() : this.ping()),
      },
    })
  }

  paneReady(pane) {
    new MutationObserver(() => this.checkReady()).observe(pane.element, { attributes: true, attributeFilter: ["data-ready"] })
    if (this.panes.length === 2 && this.panes.every(one => one.image)) {
      this.link = new Link(...this.panes)
      this.link.join()
    }
    this.jump()
    this.refresh()
  }

  checkReady() {
    this.root.dataset.ready = String(this.panes.every(pane => pane.element.dataset.ready === "true"))
  }

  activate(pane) {
    if (this.active === pane) return
    this.active = pane
    this.panes.forEach(one => one.element.classList.toggle("is-active", one === pane && this.panes.length > 1))
    this.refresh()
  }

  paneMoved(pane) {
    if (this.moving) return
    this.moving = true
    this.placeMarks(pane)
    if (pane === this.active) {
      this.link?.follow(pane)
      this.showStatus()
    }
    this.moving = false
  }

  splitOptions() {
    const others = this.data.slides.filter(slide => slide.slide_id !== this.data.slide)
    const options = [["none", "One slide"], ["plain", "Same slide, no layers"], ...others.map(slide => [slide.slide_id, slide.title])]
    const key = JSON.stringify([options, this.split])
    if (this.splitChoice.dataset.key === key) return
    this.splitChoice.dataset.key = key
    this.splitChoice.replaceChildren(...options.map(([value, text]) => h("option", { value, selected: value === this.split }, text)))
  }

  setSplit(choice) {
    this.split = choice
    this.panes.slice(1).forEach(pane => pane.destroy())
    this.panes = this.panes.slice(0, 1)
    this.link = null
    this.active = this.panes[0]
    if (choice !== "none") {
      const slide = choice === "plain" ? this.slideData(this.data.slide) : this.slideData(choice)
      if (slide) {
        const pane = this.newPane({ ...slide, fresh: true })
        pane.isPlain = choice === "plain"
        pane.title.textContent = pane.isPlain ? `${slide.title}, no layers` : slide.title
        this.panes.push(pane)
      }
    }
    this.host.dataset.count = this.panes.length
    this.linkButton.hidden = this.panes.length < 2
    this.linkButton.setAttribute("aria-pressed", "true")
    this.splitOptions()
    this.checkReady()
    this.refresh()
  }

  toggleSplit() {
    this.setSplit(this.split === "none" ? "plain" : "none")
  }

  setLinked(isOn) {
    if (!this.link) return
    this.link.isOn = isOn
    if (isOn) this.link.align()
    this.linkButton.setAttribute("aria-pressed", String(isOn))
    this.say(isOn ? "Both slides move together" : "Each slide moves by itself")
  }

  goTo(place) {
    this.active?.goTo(place)
  }

  // -- layers -----------------------------------------------------------------------------------------------------

  set(name, value) {
    const path = name.split(".")
    const last = path.pop()
    path.reduce((part, key) => part[key], this.settings)[last] = value
    saveSettings(this.settings)
    this.refresh()
  }

  toggle(layer) {
    if (this.missing(this.active?.slide)[layer]) {
      this.say(this.missing(this.active.slide)[layer])
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

  missing(slide) {
    return { heat: slide?.no_model ?? null, artefact: slide?.no_quality ?? null, tissue: slide?.no_tissue ?? null, flags: null, marks: null }
  }

  /** A tile grid of a slide, loaded once; null until it is there. */
  grid(pane, kind) {
    const { slide_id: id, run_id: run } = pane.slide
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
    this.panel.update(settings, slide, { missing: this.missing(slide), classes: lattice?.header.classes ?? [], selected: this.selected?.id, mpp: pane.info?.mpp ?? null, canMark: this.data.can_mark })
    this.gallery.update(pane)
    this.showStatus()
  }

  drawPane(pane) {
    const { heat, artefact, tissue, flags, marks } = this.settings
    const none = this.missing(pane.slide)
    const shown = layer => layer.on && !pane.isPlain
    const wantsHeat = shown(heat) && !none.heat
    const lattice = wantsHeat ? this.grid(pane, "model") : null
    const plane = lattice ? lattice.header.classes.indexOf(this.classOf(pane, lattice)) : 0
    pane.setGrid("heat", { lattice, plane, painter: probabilityPainter(table(heat.map), heat.threshold), visible: wantsHeat, opacity: heat.opacity })
    const wantsArtefact = shown(artefact) && !none.artefact
    const quality = wantsArtefact ? this.grid(pane, "quality") : null
    pane.setGrid("artefact", { lattice: quality, plane: 0, painter: codePainter(artefactColour), visible: wantsArtefact, opacity: artefact.opacity })
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

  // -- marks ------------------------------------------------------------------------------------------------------

  marksOf(pane) {
    const id = pane.slide.slide_id
    const saved = pane.slide.marks.filter(mark => !this.gone.has(mark.id))
    const fresh = this.pending.filter(mark => mark.slide_id === id)
    const freshIds = new Set(fresh.map(mark => mark.id))
    return [...saved.filter(mark => !freshIds.has(mark.id)), ...fresh]
  }

  setTool(name) {
    if (name !== "hand" && !this.data.can_mark) {
      this.say("Your role looks, and records nothing.")
      return
    }
    this.dropDraft()
    this.tool = name
    this.root.dataset.tool = name
    this.toolButtons.forEach(button => button.setAttribute("aria-pressed", String(button.dataset.tool === name)))
    this.hint.textContent = TOOLS[name].hint
    this.hint.hidden = name === "hand"
    this.say(TOOLS[name].label)
  }

  pointerDown(pane, event) {
    this.activate(pane)
    if (this.tool !== "rectangle" && this.tool !== "line") return
    const at = pane.toSlide(event.position)
    if (!this.draft) this.draft = new Draft(pane, this.tool)
    if (!this.draft.points.length) this.draft.points.push(at)
    this.draft.from = event.position
  }

  pointerDrag(pane, event) {
    if (this.draft?.pane !== pane || !this.draft.from || this.tool === "polygon") return
    event.preventDefaultAction = true
    this.draft.pointer = pane.toSlide(event.position)
    this.placeMarks(pane)
  }

  pointerUp(pane, event) {
    const draft = this.draft
    if (draft?.pane !== pane || !draft.from || this.tool === "polygon") return
    const moved = Math.hypot(event.position.x - draft.from.x, event.position.y - draft.from.y) > DRAG_PX
    draft.from = null
    const start = pane.toScreen(draft.points[0])
    const apart = Math.hypot(event.position.x - start.x, event.position.y - start.y) > DRAG_PX
    if (!moved && !apart) return // the first of two clicks
    draft.pointer = null
    draft.points.push(pane.toSlide(event.position))
    this.finishDraft()
  }

  pointerClick(pane, event) {
    this.activate(pane)
    const at = pane.toSlide(event.position)
    if (this.tool === "hand") {
      const hit = this.settings.marks.on ? markAt(pane, this.marksOf(pane), at) : null
      if (hit) this.select(hit)
      else if (this.selected) this.stop()
      if (this.data.reports_clicks) this.outbox.post("click", { slide_id: pane.slide.slide_id, x: at[0], y: at[1] })
      return
    }
    if (this.tool === "polygon" || this.tool === "point") {
      if (!this.draft) this.draft = new Draft(pane, this.tool)
      if (this.draft.pane !== pane) return
      const first = this.draft.points[0]
      if (this.draft.points.length >= 3 && near(pane, first, event.position)) {
        this.finishDraft()
        return
      }
      const last = this.draft.points.at(-1)
      if (!last || !near(pane, last, event.position)) this.draft.points.push(at)
      if (this.tool === "point") this.finishDraft()
      else this.placeMarks(pane)
    }
  }

  doubleClick(pane, event) {
    if (this.tool === "polygon" && this.draft?.isWhole) this.finishDraft()
    else if (this.tool === "hand") {
      const viewport = pane.viewer.viewport
      viewport.zoomBy(2, viewport.pointFromPixel(event.position))
      viewport.applyConstraints()
    }
  }

  /** Keys while a mark is being made. */
  draftKey(key) {
    if (this.tool === "hand") return false
    const pane = this.active
    if (key === "Enter" && this.tool === "polygon" && this.draft?.isWhole) this.finishDraft()
    else if (key === " " || key === "Enter") {
      if (!this.draft) this.draft = new Draft(pane, this.tool)
      const { x, y } = pane.view
      this.draft.points.push([x, y])
      if (this.tool !== "polygon" && this.draft.isWhole) this.finishDraft()
      else this.placeMarks(pane)
    } else if (key === "Backspace" && this.draft) {
      this.draft.points.pop()
      if (!this.draft.points.length) this.dropDraft()
      this.placeMarks(pane)
    } else return false
    return true
  }

  finishDraft() {
    const { pane, geometry, tool } = this.draft
    this.draft = null
    const mark = { id: uuid(), slide_id: pane.slide.slide_id, geometry, is_rectangle: tool === "rectangle", label: "", note: "", author: "", at: "" }
    this.pending.push(mark)
    this.setTool("hand")
    this.edit(pane, mark, true)
  }

  dropDraft() {
    const pane = this.draft?.pane
    this.draft = null
    if (pane) this.placeMarks(pane)
  }

  select(mark) {
    const pane = this.panes.find(one => this.marksOf(one).some(other => other.id === mark.id))
    if (pane) this.edit(pane, mark, false)
  }

  edit(pane, mark, isNew) {
    this.dropUnsaved()
    this.selected = mark
    this.form.element.dataset.side = this.isLeft(pane, mark) ? "right" : "left"
    const shown = isNew ? { ...mark, id: null } : mark
    this.form.open(shown, {
      mpp: pane.info.mpp,
      canEdit: this.data.can_mark,
      onSave: (label, note) => this.save(pane, { ...mark, label, note }),
      onRemove: isNew ? null : () => this.remove(mark),
      onClose: () => this.stop(),
    })
    this.unsaved = isNew ? mark : null
    this.refresh()
  }

  /** Whether a mark lies in the left half of the viewer, so that its form belongs on the right. */
  isLeft(pane, mark) {
    const { x, y, width, height } = boundsOf(mark.geometry)
    const offset = pane.element.getBoundingClientRect().left - this.host.getBoundingClientRect().left
    return offset + pane.toScreen([x + width / 2, y + height / 2]).x < this.host.clientWidth / 2
  }

  save(pane, mark) {
    this.unsaved = null
    this.pending = [...this.pending.filter(other => other.id !== mark.id), { ...mark, author: mark.author || "saving ...", slide_id: pane.slide.slide_id }]
    const { id, geometry, is_rectangle, label, note } = mark
    this.outbox.post("mark", { slide_id: pane.slide.slide_id, mark: { id, geometry, is_rectangle, label, note } })
    this.stop()
    this.focusStage()
    this.say("Annotation saved")
  }

  remove(mark) {
    this.gone.add(mark.id)
    this.pending = this.pending.filter(other => other.id !== mark.id)
    this.outbox.post("unmark", { slide_id: this.active.slide.slide_id, mark: { id: mark.id } })
    this.stop()
    this.say("Annotation removed")
  }

  removeSelected() {
    if (this.selected && this.data.can_mark && this.selected !== this.unsaved) this.remove(this.selected)
  }

  dropUnsaved() {
    if (this.unsaved) this.pending = this.pending.filter(mark => mark !== this.unsaved && mark.id !== this.unsaved.id)
    this.unsaved = null
  }

  /** Escape: whatever is begun ends. */
  stop() {
    this.dropUnsaved()
    this.selected = null
    this.form.close()
    if (!this.help.hidden) this.toggleHelp()
    if (this.tool !== "hand") this.setTool("hand")
    else this.dropDraft()
    this.refresh()
  }

  // -- page -------------------------------------------------------------------------------------------------------

  pageKey(name) {
    if (!this.data.page_keys.includes(name)) return false
    this.outbox.post("key", { name })
    return true
  }

  focusNote() {
    const field = this.data.note_key && document.querySelector(`.st-key-${CSS.escape(this.data.note_key)} textarea, .st-key-${CSS.escape(this.data.note_key)} input`)
    field?.focus()
    field?.scrollIntoView({ block: "center" })
  }

  focusStage() {
    this.active?.viewer?.canvas.focus({ preventScroll: true })
  }

  toggleHelp() {
    this.help.hidden = !this.help.hidden
    if (this.help.hidden) this.focusStage()
    else this.help.focus({ preventScroll: true })
  }

  toggleFullScreen() {
    if (this.root.getRootNode().fullscreenElement) document.exitFullscreen()
    else this.root.requestFullscreen()
  }

  say(text) {
    this.spoken.textContent = text
  }

  // -- status -----------------------------------------------------------------------------------------------------

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
    const { heat, artefact } = this.settings
    const model = heat.on && !pane.slide.no_model && !pane.isPlain ? this.grid(pane, "model") : null
    if (model) {
      const name = this.classOf(pane, model)
      const value = probabilityAt(model, model.header.classes.indexOf(name), x, y)
      parts.push(value === null ? `${name}: no tile here` : `${name} ${value.toFixed(3)}`)
    }
    const quality = artefact.on && !pane.slide.no_quality && !pane.isPlain ? this.grid(pane, "quality") : null
    if (quality) {
      const code = codeAt(quality, x, y)
      const name = (pane.slide.artefacts ?? []).find(one => one.code === code)?.name
      if (code !== null) parts.push(name ?? "no artefact")
    }
    return parts.join(" · ")
  }

  async ping() {
    if (this.destroyed) return
    const wasGone = !this.banner.hidden
    try {
      const response = await fetch(`${this.base}ping`, { cache: "no-store", signal: AbortSignal.timeout(4000) })
      if (!response.ok) throw new Error()
      this.banner.hidden = true
      if (wasGone) this.comeBack()
    } catch {
      if (this.destroyed) return
      this.banner.textContent = "Disconnected: the server does not answer. What is shown may be incomplete; annotations are kept here and sent when it is back."
      this.banner.hidden = false
    }
  }

  comeBack() {
    this.renewedAt = 0
    this.renew()
    this.panes.forEach(pane => pane.reload())
  }

  destroy() {
    this.destroyed = true
    cancelAnimationFrame(this.frame)
    clearInterval(this.pinging)
    clearTimeout(this.renewal)
    this.outbox.close()
    this.gallery.clear()
    document.removeEventListener("keydown", this.keyListener)
    document.removeEventListener("visibilitychange", this.onVisible)
    this.panes.forEach(pane => pane.destroy())
  }
}

function artefactColour(code) {
  if (code === 0) return null
  const hex = category(code - 1)
  return [1, 3, 5].map(at => Number.parseInt(hex.slice(at, at + 2), 16))
}

function near(pane, point, position) {
  const at = pane.toScreen(point)
  return Math.hypot(at.x - position.x, at.y - position.y) <= 8
}

function thousands(number) {
  return Math.round(number).toLocaleString("en")
}

/** A random UUID, also where the page is not a secure context. */
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[6] = (bytes[6] & 0x0f) | 0x40
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  const hex = [...bytes].map(byte => byte.toString(16).padStart(2, "0")).join("")
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

function loadSettings() {
  const settings = structuredClone(DEFAULTS)
  try {
    const kept = JSON.parse(localStorage.getItem(SETTINGS_KEY)) ?? {}
    for (const [name, value] of Object.entries(kept)) {
      if (typeof settings[name] === "object") Object.assign(settings[name], value)
      else if (name in settings) settings[name] = value
    }
  } catch {
    // Storage may be forbidden or hold something else: the defaults serve.
  }
  return settings
}

function saveSettings(settings) {
  try {
    localStorage.setItem(SETTINGS_KEY, JSON.stringify(settings))
  } catch {
    // Not kept for the next visit.
  }
}
