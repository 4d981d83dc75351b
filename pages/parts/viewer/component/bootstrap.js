// What Streamlit carries to the browser: finds the viewer's modules on this same server and hands every run to them.
// The viewer itself is kept by its parent element, so that a rerun of the page never rebuilds it.
const viewers = new WeakMap()

function load(address) {
  return import(/* the address holds the version, so this is fetched once */ address)
}

export default function (component) {
  const { parentElement, data } = component
  const root = parentElement.querySelector(".sr-viewer")
  if (!root || !data) return
  let held = viewers.get(parentElement)
  if (!held) {
    held = { latest: component, viewer: null, gone: false }
    viewers.set(parentElement, held)
    const base = new URL(data.assets, document.baseURI).href
    load(`${base}viewer.js`)
      .then(module => module.createViewer(root, { base, component: held.latest }))
      .then(viewer => {
        held.viewer = viewer
        if (held.gone) viewer.destroy()
        else viewer.update(held.latest)
      })
      .catch(error => {
        root.textContent = `The slide viewer could not start: ${error.message}`
        root.dataset.failed = "true"
      })
  }
  held.latest = component
  held.gone = false
  held.viewer?.update(component)
  return () => {
    held.gone = true
    viewers.delete(parentElement)
    held.viewer?.destroy()
  }
}
