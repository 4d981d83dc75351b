// A strip of tiles, each with its probability; choosing one moves the slide there.

import { h } from "./dom.js"

const NAMES = { suspicious: "Most suspicious", uncertain: "Most uncertain", random: "Random" }
const TILE_PX = 192

export class Gallery {
  constructor(act) {
    this.act = act
    this.chosen = null
    this.tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Tiles of this slide" })
    this.strip = h("div", { class: "strip", role: "tabpanel", tabindex: 0, "aria-label": "Tiles" })
    this.note = h("span", { class: "note" })
    this.element = h("section", { class: "gallery", "aria-label": "Tile gallery" }, h("div", { class: "gallery-head" }, this.tabs, this.note), this.strip)
    this.addresses = []
    this.round = 0
  }

  update(pane) {
    const galleries = pane.slide.galleries ?? {}
    const names = Object.keys(NAMES).filter(name => galleries[name]?.length)
    this.element.hidden = !names.length
    if (!names.includes(this.chosen)) this.chosen = names[0] ?? null
    const key = JSON.stringify([pane.slide.slide_id, pane.info?.version, galleries, this.chosen])
    if (key === this.key || !pane.info) return
    this.key = key
    this.tabs.replaceChildren(
      ...names.map(name =>
        h("button", { role: "tab", "aria-selected": String(name === this.chosen), "data-gallery": name, onclick: () => { this.chosen = name; this.update(pane) } }, NAMES[name]),
      ),
    )
    this.note.textContent = pane.slide.gallery_class ? `Probability of ${pane.slide.gallery_class}` : ""
    this.show(pane, galleries[this.chosen] ?? [])
  }

  show(pane, tiles) {
    this.clear()
    const round = ++this.round
    this.strip.replaceChildren(
      ...tiles.map((tile, i) => {
        const picture = h("img", { alt: "", width: 96, height: 96 })
        this.load(pane, tile, picture, round)
        const value = tile.p === null ? "" : tile.p.toFixed(2)
        return h("button", { class: "tile", "aria-label": `Tile ${i + 1}${value && `, probability ${value}`}. Show it on the slide.`, onclick: () => this.act.go(tile) }, picture, value && h("span", {}, value))
      }),
    )
  }

  async load(pane, tile, picture, round) {
    try {
      const response = await pane.server.get(pane.server.regionUrl(pane.info.version, tile, TILE_PX))
      const address = URL.createObjectURL(await response.blob())
      if (round !== this.round) URL.revokeObjectURL(address)
      else {
        this.addresses.push(address)
        picture.src = address
      }
    } catch {
      picture.alt = "not available"
    }
  }

  clear() {
    this.addresses.forEach(address => URL.revokeObjectURL(address))
    this.addresses = []
  }
}
