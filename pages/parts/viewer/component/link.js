// Two panes that move together: by micrometres where both scales are known, by level-0 pixels otherwise.

import { meanMpp } from "./scale.js"

export class Link {
  constructor(first, second) {
    this.panes = [first, second]
    this.isOn = true
    this.busy = false
    this.align()
  }

  /** um per level-0 px of both panes, or 1 and 1. */
  get scales() {
    const known = this.panes.every(pane => pane.info?.mpp)
    return this.panes.map(pane => (known ? meanMpp(pane.info.mpp) : 1))
  }

  /** Keep the panes as they lie now: what was shifted by hand stays shifted. */
  align() {
    if (!this.panes.every(pane => pane.image)) return
    const [a, b] = this.panes.map(pane => pane.view)
    const [sa, sb] = this.scales
    this.offset = { x: b.x * sb - a.x * sa, y: b.y * sb - a.y * sa, zoom: b.zoom / sb / (a.zoom / sa), rotation: b.rotation - a.rotation }
  }

  /** Begin with the same place in both. */
  join() {
    this.offset = { x: 0, y: 0, zoom: 1, rotation: 0 }
    this.follow(this.panes[0])
  }

  /** Move the other pane to where `mover` looks. */
  follow(mover) {
    if (!this.isOn || this.busy || !this.offset || !this.panes.every(pane => pane.image)) return
    const at = this.panes.indexOf(mover)
    if (at < 0) return
    const other = this.panes[1 - at]
    const [from, to] = at === 0 ? this.scales : [...this.scales].reverse()
    const sign = at === 0 ? 1 : -1
    const { x, y, zoom, rotation } = mover.view
    this.busy = true
    other.setView(
      {
        x: (x * from + sign * this.offset.x) / to,
        y: (y * from + sign * this.offset.y) / to,
        zoom: (zoom / from) * this.offset.zoom ** sign * to,
        rotation: rotation + sign * this.offset.rotation,
      },
      true,
    )
    this.busy = false
  }
}
