// The slide viewer: puts the panes, the layers, the tools and the page together.

import { h, icon } from "./dom.js"
import { Outbox } from "./events.js"
import { MarkForm } from "./form.js"
import { Gallery } from "./gallery.js"
import { helpBox, press } from "./keys.js"
import { loadSettings, settingsKey } from "./layering.js"
import { Link } from "./link.js"
import { Marking } from "./marking.js"
import { TOOLS } from "./marks.js"
import { Pane } from "./pane.js"
import { Panel } from "./panel.js"

const PING_MS = 5000
const NOTICE_MS = 4000
const NARROW_PX = 760 // as in the style sheet: the panel then lies over the slide

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

class Viewer extends Marking {
  constructor(root, { OpenSeadragon, base, component }) {
    super()
    this.root = root
    this.osd = OpenSeadragon
    this.base = base
    this.data = component.data
    this.settingsKey = settingsKey(component.data)
    this.settings = loadSettings(this.settingsKey, component.data.initial)
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
      setClass: (name, isOn) => this.setClass(name, isOn),
      go: place => this.goTo(place),
      select: mark => this.select(mark),
    })
    this.gallery = new Gallery({ go: place => this.goTo(place) })
    this.form = new MarkForm()
    this.host = h("div", { class: "panes" })
    this.banner = h("div", { class: "banner", role: "alert", hidden: true })
    this.hint = h("div", { class: "hint", role: "status", hidden: true })
    this.notice = h("div", { class: "hint", role: "status", hidden: true })
    this.spoken = h("div", { class: "spoken", role: "status" })
    this.status = h("div", { class: "status" }, h("span", { "data-part": "value" }), h("span", { "data-part": "place" }), h("span", { "data-part": "scale" }))
    this.help = helpBox(() => this.toggleHelp())
    this.help.hidden = true
    const stage = h("div", { class: "stage-box" }, this.host, h("div", { class: "notices" }, this.banner, this.notice, this.hint), this.form.element, this.help)
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
        button("rotateBack", "Turn left by 90° (Shift R)", () => this.active.rotateBy(-90), { "data-spare": true }),
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
    else if (this.data.answer && this.data.answer !== previous.answer) this.showNotice(this.data.answer)
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
    if (!jump || this.jumped === jump.nonce || !pane?.image) return
    const key = `second-read:jump:${this.data.viewer_key}`
    this.jumped = jump.nonce
    if (sessionStorage.getItem(key) === jump.nonce) return
    sessionStorage.setItem(key, jump.nonce)
    this.activate(pane)
    pane.goTo(jump)
    this.root.scrollIntoView({ block: "nearest" })
    this.focusStage()
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
    const isThere = this.split === "plain" || (this.split !== id && this.slideData(this.split))
    if (this.split !== "none") this.setSplit(isThere ? this.split : "none")
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

  // -- page -------------------------------------------------------------------------------------------------------

  focusNote() {
    if (!this.data.note_key) return
    const place = `.st-key-${this.data.note_key.replace(/[^a-zA-Z0-9_-]/g, "-")}` // as Streamlit makes a class of a key
    const field = document.querySelector(`${place} textarea, ${place} input`)
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

  /** Say what the page recorded: in full screen its own messages lie below the slide. */
  showNotice(text) {
    this.notice.textContent = text
    this.notice.hidden = false
    clearTimeout(this.noticing)
    this.noticing = setTimeout(() => (this.notice.hidden = true), NOTICE_MS)
  }

  say(text) {
    this.spoken.textContent = text
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
    clearTimeout(this.noticing)
    this.outbox.close()
    this.gallery.clear()
    document.removeEventListener("keydown", this.keyListener)
    document.removeEventListener("visibilitychange", this.onVisible)
    this.panes.forEach(pane => pane.destroy())
  }
}
