import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { createBrowserRouter, RouterProvider } from 'react-router'
import { Console } from './console'
import { bring } from './i18n'
import { rememberedLanguage, SessionProvider } from './session'
import './styles.css'

// a router with routes of its own is what can ask before a page is left
const router = createBrowserRouter([{ path: '*', element: <Console /> }])

function show() {
  createRoot(document.getElementById('root')!).render(
    <StrictMode>
      <SessionProvider>
        <RouterProvider router={router} />
      </SessionProvider>
    </StrictMode>,
  )
}

// texts that cannot be had are no reason to show nothing: the page is in Chinese then
bring(rememberedLanguage()).then(show, show)
