// One slide on the screen: OpenSeadragon, and the layers that lie on it in level-0 pixels.

import { h, s } from "./dom.js"
import { cellPicture, paint } from "./lattice.js"
import { equivalentMagnification, meanMpp, scaleBar } from "./scale.js"
import { Refused, SlideServer } from "./server.js"

const SCALE_BAR_PX = 150
const MAX_PIXEL_RATIO = 4
const PLACE_KEY = "second-read:place:"
const WATCHED_LAYERS = ["heat", "attention", "artefact", "tissue"]

export class Pane {
  /**
   * @param host element to fill
   * @param options {base, slide, on: {ready, view, hover, click, press, drag, release, doubleClick, trouble, focus}}
   */
  constructor(host, { OpenSeadragon, base, slide, on }) {
    this.osd = OpenSeadragon
    this.on = on
    this.slide = slide
    this.server = new SlideServer(base, slide.slide_id, slide.token)
    this.info = null
    this.layers = new Map()
    this.destroyed = false
    this.stage = h("div", { class: "stage" })
    this.message = h("div", { class: "message", role: "alert", hidden: true })
    this.bar = h("div", { class: "scalebar", "aria-hidden": "true" }, h("span", { class: "scalebar-text" }), h("i"))
    this.title = h("div", { class: "pane-title" }, slide.title)
    this.element = h("div", { class: "pane" }, this.stage, this.title, this.bar, this.message)
    host.append(this.element)
    this.open()
  }

  async open() {
    this.showMessage(null)
    this.element.dataset.ready = "false"
    try {
      this.info = await this.server.info()
    } catch (error) {
      if (!this.destroyed) this.refused(error)
      return
    }
    if (this.destroyed) return
    this.build()
  }

  build() {
    this.viewer?.destroy()
    this.stage.replaceChildren()
    const { info, server, osd } = this
    const source = new osd.TileSource({
      width: info.width,
      height: info.height,
      tileWidth: info.tile_width,
      tileHeight: info.tile_height,
      tileOverlap: 0,
      minLevel: 0,
      maxLevel: info.levels - 1,
    })
    source.getTileUrl = (level, column, row) => server.tileUrl(info.version, level, column, row)
    source.getTileHashKey = (level, column, row, url) => url // a new token must not throw pictures away
    this.viewer = new osd.Viewer({
      element: this.stage,
      tileSources: source,
      drawer: "canvas",
      loadTilesWithAjax: true,
      ajaxHeaders: server.headers,
      showNavigationControl: false,
      showNavigator: true,
      navigatorPosition: "TOP_RIGHT",
      navigatorSizeRatio: 0.17,
      navigatorMaintainSizeRatio: false,
      navigatorAutoFade: false,
      keyboardNavEnabled: false,
      animationTime: 0.35,
      springStiffness: 9,
      blendTime: 0,
      immediateRender: true,
      imageLoaderLimit: 6,
      maxImageCacheCount: 400,
      maxZoomPixelRatio: MAX_PIXEL_RATIO,
      minZoomImageRatio: 0.5,
      visibilityRatio: 0.2,
      zoomPerScroll: 1.3,
      preserveImageSizeOnResize: true,
      tileRetryMax: 1,
      tileRetryDelay: 300,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: false, flickEnabled: false },
      gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: false },
    })
    this.addLayers()
    this.listen()
    this.element.dataset.slide = this.slide.slide_id
  }

  addLayers() {
    const canvas = this.viewer.canvas
    canvas.setAttribute("aria-label", `Slide ${this.slide.title}. Arrow keys move, plus and minus zoom, question mark lists all keys.`)
    canvas.setAttribute("role", "application")
    for (const name of WATCHED_LAYERS) {
      const element = h("canvas", { class: `layer layer-${name}`, "aria-hidden": "true" })
      canvas.append(element)
      this.layers.set(name, { element, visible: false, draw: null })
    }
    this.marks = s("svg", { class: "layer layer-marks" })
    this.pins = h("div", { class: "layer layer-pins" })
    canvas.append(this.marks, this.pins)
  }

  listen() {
    const { viewer, on } = this
    viewer.addHandler("open", () => {
      this.image = viewer.world.getItemAt(0)
      this.restorePlace()
      this.image.addHandler("fully-loaded-change", event => this.loaded(event.fullyLoaded))
      on.ready(this)
      this.viewChanged()
    })
    viewer.addHandler("update-viewport", () => this.viewChanged())
    viewer.addHandler("animation", () => on.view(this))
    viewer.addHandler("animation-finish", () => this.keepPlace())
    viewer.addHandler("rotate", () => this.keepPlace())
    viewer.addHandler("tile-load-failed", event => this.tileFailed(event.tileRequest?.status ?? 0))
    viewer.addHandler("canvas-press", event => on.press(this, event))
    viewer.addHandler("canvas-drag", event => on.drag(this, event))
    viewer.addHandler("canvas-release", event => on.release(this, event))
    viewer.addHandler("canvas-click", event => event.quick && on.click(this, event))
    viewer.addHandler("canvas-double-click", event => on.doubleClick(this, event))
    viewer.addHandler("canvas-focus", () => on.focus(this))
    this.stage.onpointermove = event => on.hover(this, this.toSlide(this.local(event)))
    this.stage.onpointerleave = () => on.hover(this, null)
  }

  loaded(whole) {
    if (whole && this.element.dataset.ready !== "true") this.element.dataset.ready = "true"
  }

  // -- frames ---------------------------------------------------------------------------------------------------

  local(event) {
    const box = this.stage.getBoundingClientRect()
    return { x: event.clientX - box.left, y: event.clientY - box.top }
  }

  /** Level-0 [x, y] of a position in CSS pixels within the pane. */
  toSlide(position) {
    if (!this.image) return null
    const point = this.image.viewerElementToImageCoordinates(new this.osd.Point(position.x, position.y))
    return [point.x, point.y]
  }

  /** CSS pixels within the pane of a level-0 position. */
  toScreen([x, y]) {
    const point = this.image.imageToViewerElementCoordinates(new this.osd.Point(x, y))
    return { x: point.x, y: point.y }
  }

  /** The affine map from level-0 px to CSS px. */
  frame() {
    const span = Math.max(this.info.width, this.info.height)
    const [o, x, y] = [[0, 0], [span, 0], [0, span]].map(point => this.toScreen(point))
    return { a: (x.x - o.x) / span, b: (x.y - o.y) / span, c: (y.x - o.x) / span, d: (y.y - o.y) / span, e: o.x, f: o.y }
  }

  /** Where the pane looks: level-0 centre, CSS pixels per level-0 pixel, degrees. */
  get view() {
    const viewport = this.viewer.viewport
    const centre = this.image.viewportToImageCoordinates(viewport.getCenter(true))
    return { x: centre.x, y: centre.y, zoom: this.image.viewportToImageZoom(viewport.getZoom(true)), rotation: viewport.getRotation(true) }
  }

  setView({ x, y, zoom, rotation }, immediately = false) {
    const viewport = this.viewer.viewport
    if (rotation !== undefined && rotation !== viewport.getRotation()) viewport.setRotation(rotation, immediately)
    if (zoom !== undefined) viewport.zoomTo(this.image.imageToViewportZoom(zoom), null, immediately)
    if (x !== undefined) viewport.panTo(this.image.imageToViewportCoordinates(new this.osd.Point(x, y)), immediately)
  }

  get target() {
    const viewport = this.viewer.viewport
    const centre = this.image.viewportToImageCoordinates(viewport.getCenter(false))
    return { x: centre.x, y: centre.y, zoom: this.image.viewportToImageZoom(viewport.getZoom(false)), rotation: viewport.getRotation(false) }
  }

  /** Show a level-0 rectangle with room around it. */
  goTo({ x, y, width, height }, room = 2.5) {
    const box = this.stage.getBoundingClientRect()
    const zoom = Math.min(box.width / (Math.max(width, 1) * room), box.height / (Math.max(height, 1) * room), 1)
    this.setView({ x: x + width / 2, y: y + height / 2, zoom })
  }

  fit() {
    this.viewer.viewport.setRotation(0)
    this.viewer.viewport.goHome()
  }

  zoomBy(factor) {
    this.viewer.viewport.zoomBy(factor)
    this.viewer.viewport.applyConstraints()
  }

  panBy(dx, dy) {
    const viewport = this.viewer.viewport
    viewport.panBy(viewport.deltaPointsFromPixels(new this.osd.Point(dx, dy)))
    viewport.applyConstraints()
  }

  rotateBy(degrees) {
    this.viewer.viewport.setRotation(this.viewer.viewport.getRotation() + degrees)
  }

  keepPlace() {
    if (!this.image || this.destroyed) return
    const { x, y, zoom, rotation } = this.view
    try {
      sessionStorage.setItem(PLACE_KEY + this.slide.slide_id, JSON.stringify({ x, y, zoom, rotation, of: this.info.version }))
    } catch {
      // Storage may be full or forbidden; the place is then not kept.
    }
  }

  restorePlace() {
    let place = null
    try {
      place = JSON.parse(sessionStorage.getItem(PLACE_KEY + this.slide.slide_id))
    } catch {
      place = null
    }
    if (place && place.of === this.info.version && !this.slide.fresh) this.setView(place, true)
  }

  // -- layers ---------------------------------------------------------------------------------------------------

  /** Show a grid of tile values. `picture` is rebuilt only when the colours change. */
  setGrid(name, { lattice, plane, painter, visible, opacity }) {
    const layer = this.layers.get(name)
    if (!layer) return
    const made = layer.made
    const isSame = made?.lattice === lattice && made.plane === plane && made.painter === painter
    if (lattice && visible && !isSame) layer.made = { lattice, plane, painter, picture: cellPicture(lattice, plane, painter) }
    const picture = layer.made?.picture ?? null
    layer.draw = lattice ? (context, frame) => paint(context, lattice, plane, frame, painter, picture) : null
    this.showLayer(layer, visible && lattice !== null, opacity)
  }

  setOutline({ rings, visible, opacity }) {
    const layer = this.layers.get("tissue")
    if (!layer) return
    if (rings && layer.rings !== rings) {
      layer.rings = rings
      layer.path = new Path2D()
      for (const ring of rings) {
        ring.forEach(([x, y], i) => (i ? layer.path.lineTo(x, y) : layer.path.moveTo(x, y)))
        layer.path.closePath()
      }
    }
    layer.draw = layer.path
      ? (context, frame) => {
          context.setTransform(frame.a, frame.b, frame.c, frame.d, frame.e, frame.f)
          context.lineJoin = "round"
          for (const [width, colour] of [[4, "rgba(255,255,255,.9)"], [2, "#0b6e4f"]]) {
            context.lineWidth = (width * devicePixelRatio) / Math.hypot(frame.a, frame.b)
            context.strokeStyle = colour
            context.stroke(layer.path)
          }
          context.setTransform(1, 0, 0, 1, 0, 0)
        }
      : null
    this.showLayer(layer, visible, opacity)
  }

  showLayer(layer, visible, opacity) {
    layer.visible = visible
    layer.element.style.opacity = opacity
    layer.element.hidden = !visible
    this.drawLayers()
  }

  drawLayers() {
    if (!this.image || this.destroyed) return
    const ratio = devicePixelRatio || 1
    const { clientWidth, clientHeight } = this.stage
    const css = this.frame()
    const frame = Object.fromEntries(Object.entries(css).map(([key, value]) => [key, value * ratio]))
    for (const { element, visible, draw } of this.layers.values()) {
      if (!visible) continue
      const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)]
      if (element.width !== width || element.height !== height) [element.width, element.height] = [width, height]
      const context = element.getContext("2d")
      context.clearRect(0, 0, width, height)
      context.save()
      this.clipToSlide(context, frame)
      draw?.(context, frame)
      context.restore()
    }
  }

  /** Edge tiles reach beyond the slide; their colour does not. */
  clipToSlide(context, { a, b, c, d, e, f }) {
    const { width, height } = this.info
    context.beginPath()
    for (const [x, y] of [[0, 0], [width, 0], [width, height], [0, height]]) context.lineTo(a * x + c * y + e, b * x + d * y + f)
    context.closePath()
    context.clip()
  }

  viewChanged() {
    if (!this.image || this.destroyed) return
    this.drawLayers()
    this.drawScale()
    const { x, y, zoom, rotation } = this.view
    Object.assign(this.element.dataset, { x: x.toFixed(2), y: y.toFixed(2), zoom: zoom.toPrecision(6), rotation: rotation.toFixed(1) })
    this.on.view(this)
  }

  /** um per CSS pixel on the screen, or null without a scale. */
  get umPerScreenPx() {
    return this.info?.mpp ? meanMpp(this.info.mpp) / this.view.zoom : null
  }

  drawScale() {
    const um = this.umPerScreenPx
    this.bar.dataset.unknown = um === null
    const [text, line] = this.bar.children
    if (um === null) {
      text.textContent = "Scale unknown"
      line.style.width = "0"
      return
    }
    const bar = scaleBar(um, Math.min(SCALE_BAR_PX, this.stage.clientWidth / 4))
    text.textContent = `${bar.text} · ~${equivalentMagnification(um)}x`
    line.style.width = `${bar.px}px`
    this.bar.dataset.um = bar.um
    this.bar.dataset.px = bar.px
  }

  // -- permission and trouble -------------------------------------------------------------------------------------

  setToken(token) {
    if (token === this.server.token) return
    this.server.token = token
    this.slide = { ...this.slide, token }
    this.viewer?.setAjaxHeaders(this.server.headers, true)
    if (this.hasGaps) this.reload()
    else if (!this.info) this.open()
  }

  tileFailed(status) {
    this.hasGaps = true
    if (status === 403) this.on.trouble(this, "permission")
    else if (status === 0) this.on.trouble(this, "connection")
    else this.ask()
  }

  /** Ask the server what is wrong with the slide, once at a time. */
  async ask() {
    if (this.asking) return
    this.asking = true
    try {
      const info = await this.server.info()
      if (info.version !== this.info?.version) {
        this.info = info
        if (!this.destroyed) this.build()
      }
    } catch (error) {
      if (!this.destroyed) this.refused(error)
    } finally {
      this.asking = false
    }
  }

  refused(error) {
    if (error instanceof Refused && error.status === 403) this.on.trouble(this, "permission")
    else if (error instanceof Refused && error.status === 0) this.on.trouble(this, "connection")
    this.showMessage(error.message)
  }

  showMessage(text) {
    this.message.hidden = text === null
    this.message.replaceChildren(...(text === null ? [] : [h("p", {}, text), h("button", { class: "plain", onclick: () => this.retry() }, "Try again")]))
  }

  retry() {
    if (this.image) {
      this.showMessage(null)
      this.ask().then(() => this.message.hidden && this.reload())
    } else this.open()
  }

  /** Load again what failed to load. */
  reload() {
    this.hasGaps = false
    this.showMessage(null)
    if (!this.image) {
      this.open()
      return
    }
    this.image.reset()
    this.viewer.forceRedraw()
  }

  destroy() {
    this.keepPlace()
    this.destroyed = true
    this.viewer?.destroy()
    this.viewer = null
    this.image = null
    this.element.remove()
  }
}
