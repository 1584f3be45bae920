//! German, Spanish, French, Portuguese, Italian, Ukrainian.

use super::language::Language;

pub(super) const ALL: &[Language] = &[GERMAN, SPANISH, FRENCH, PORTUGUESE, ITALIAN, UKRAINIAN];

const GERMAN: Language = Language {
    weight: 4,
    chars_per_second: 14.0,
    greetings: &[
        "Guten Tag, ich bin {agent}. Wie kann ich Ihnen helfen?",
        "Hallo! Schön, dass du da bist. Ich heiße {agent}.",
    ],
    orders: &[
        (
            "Wo bleibt meine Bestellung {order}?",
            "Die Bestellung {order} ist unterwegs und kommt voraussichtlich in {number} Tagen an.",
        ),
        (
            "Ich möchte die Schuhe zurückgeben, sie drücken.",
            "Kein Problem! Den Rücksendeaufkleber habe ich Ihnen gerade geschickt; die {price} € erhalten Sie nach Eingang zurück.",
        ),
    ],
    travel: &[
        (
            "Wann fährt der nächste Zug nach München?",
            "Um {time} Uhr von Gleis {number}. Bitte planen Sie für den Umstieg in Nürnberg etwas Zeit ein.",
        ),
        (
            "Fällt der Bus heute aus?",
            "Die Linie {number} fährt wegen des Straßenfests nicht über den Marktplatz, sondern über die Königstraße.",
        ),
    ],
    museum: &[
        (
            "Warum ist das Bild so dunkel?",
            "Der Firnis ist über die Jahrhunderte nachgedunkelt. Ursprünglich war der Himmel leuchtend blau.",
        ),
        (
            "Wie schwer ist der Saurier?",
            "Das Skelett wiegt rund {number} Tonnen, das lebende Tier brachte gut das Doppelte auf die Waage.",
        ),
    ],
    support: &[
        (
            "Mein Passwort geht nicht mehr",
            "Das tut mir leid. Ich schicke Ihnen einen Link zum Zurücksetzen; er gilt {number} Minuten.",
        ),
        (
            "Das WLAN im Besprechungsraum {number} ist so langsam",
            "Danke für den Hinweis. Der Zugangspunkt wird um {time} Uhr neu gestartet.",
        ),
    ],
    kiosk: &[
        (
            "Wo gibt es hier Kaffee?",
            "Gleich rechts neben der Rolltreppe, ein Cappuccino kostet {price} €.",
        ),
        (
            "Gibt's das auch in Größe {number}?",
            "Moment … ja, ein Paar ist noch da, im Obergeschoss.",
        ),
    ],
    small_talk: &[
        ("Ja", "Sehr gut."),
        ("Wie bitte?", "Gern noch einmal, etwas langsamer."),
        ("Bist du echt?", "Ich bin {agent}, ein digitaler Assistent. 🙂"),
    ],
    follow_ups: &["Kann ich sonst noch etwas tun?", "Hilft Ihnen das weiter?"],
    farewells: &[
        ("Danke, tschüss!", "Gern geschehen, bis bald!"),
        ("Das war's, vielen Dank.", "Ich wünsche Ihnen einen schönen Tag."),
    ],
};

const SPANISH: Language = Language {
    weight: 4,
    chars_per_second: 15.0,
    greetings: &[
        "¡Hola! Soy {agent}. ¿En qué puedo ayudarte?",
        "Buenas tardes, le atiende {agent}. ¿Qué necesita?",
    ],
    orders: &[
        (
            "¿Dónde está mi pedido {order}?",
            "Su pedido {order} salió ayer del almacén; llegará dentro de {number} días.",
        ),
        (
            "Me han cobrado {price} € de más",
            "Lo siento mucho. Ya he solicitado la devolución de {price} €.",
        ),
    ],
    travel: &[
        (
            "¿A qué hora sale el próximo vuelo a Bogotá?",
            "Sale a las {time}, por la puerta {number}. El embarque ya ha empezado.",
        ),
        ("¿Está lejos el hotel?", "No, a unos {number} minutos andando, junto a la catedral."),
    ],
    museum: &[
        (
            "¿Quién es la niña del centro?",
            "Es la infanta Margarita, que tenía cinco años. El pintor también está en el cuadro, ¿lo ve a la izquierda?",
        ),
        ("¿Se puede hacer fotos?", "Sí, pero sin flash, excepto en la sala {number}."),
    ],
    support: &[
        (
            "No me funciona el correo",
            "Vamos a verlo. ¿Qué mensaje de error aparece? ¿Quizá el {number}?",
        ),
        (
            "Se me ha caído café en el portátil",
            "Apáguelo enseguida, desenchúfelo y déjelo boca abajo. Le reservo cita a las {time}.",
        ),
    ],
    kiosk: &[
        ("¿Dónde están los ascensores?", "Al fondo a la derecha, después de la tienda {number}."),
        ("¿Cuánto cuesta esto?", "Cuesta {price} €, y hoy lleva un diez por ciento de descuento."),
    ],
    small_talk: &[
        ("Sí", "Perfecto."),
        ("¿Puedes repetirlo?", "¡Claro que sí!"),
        ("Quiero hablar con una persona", "Enseguida. La espera es de unos {number} minutos."),
    ],
    follow_ups: &["¿Algo más?", "¿Le ha servido de ayuda?"],
    farewells: &[("Muchas gracias, adiós", "¡A usted! Que tenga un buen día. ☀️")],
};

const FRENCH: Language = Language {
    weight: 3,
    chars_per_second: 15.0,
    greetings: &[
        "Bonjour, je suis {agent}. Que puis-je faire pour vous ?",
        "Bienvenue ! Moi, c'est {agent}. Je vous écoute.",
    ],
    orders: &[
        (
            "Où en est ma commande n° {order} ?",
            "Elle a été expédiée ce matin ; comptez encore {number} jours.",
        ),
        (
            "Le colis est arrivé abîmé…",
            "J'en suis désolé. Je vous rembourse {price} € ou je renvoie l'article, comme vous préférez.",
        ),
    ],
    travel: &[
        (
            "À quelle heure part le train pour Lyon ?",
            "À {time}, voie {number}. Il vous reste largement le temps de prendre un café.",
        ),
        (
            "Y a-t-il une consigne à bagages ?",
            "Oui, au niveau -1, à côté de la sortie {number}. C'est {price} € par jour.",
        ),
    ],
    museum: &[
        (
            "Pourquoi n'a-t-elle pas de sourcils ?",
            "C'était peut-être la mode à Florence, ou bien un nettoyage trop énergique les a effacés.",
        ),
        ("C'est où, les impressionnistes ?", "Au cinquième étage, à partir de la salle {number}."),
    ],
    support: &[
        (
            "Mon écran reste noir",
            "Débranchez-le {number} secondes, puis rebranchez-le. Le voyant s'allume-t-il ?",
        ),
        (
            "J'ai oublié mon mot de passe",
            "Pas d'inquiétude : je vous envoie un lien, valable jusqu'à {time}.",
        ),
    ],
    kiosk: &[
        ("Où sont les toilettes ?", "Tout droit, puis à gauche après la boutique {number}."),
        ("Vous êtes ouverts jusqu'à quand ?", "Jusqu'à {time} ce soir."),
    ],
    small_talk: &[
        ("Oui", "Très bien."),
        ("Pardon ?", "Je répète volontiers."),
        ("T'es un robot ?", "Disons un assistant numérique, avec un cœur grand comme ça. ❤️"),
    ],
    follow_ups: &["Autre chose ?", "Est-ce que cela répond à votre question ?"],
    farewells: &[("Merci, au revoir !", "Avec plaisir, bonne journée !")],
};

const PORTUGUESE: Language = Language {
    weight: 2,
    chars_per_second: 15.0,
    greetings: &[
        "Olá! Eu sou {agent}. Como posso ajudar?",
        "Bom dia, aqui é {agent}. O que você procura?",
    ],
    orders: &[
        (
            "Cadê o meu pedido {order}?",
            "O pedido {order} já saiu para entrega e chega em {number} dias.",
        ),
        ("Não recebi a nota fiscal", "Acabei de reenviar a nota de R$ {price} para o seu e-mail."),
    ],
    travel: &[
        ("Qual é o portão do voo para Lisboa?", "Portão {number}, embarque às {time}."),
        (
            "Tem ônibus para a praia?",
            "Tem sim: a linha {number}, a cada quinze minutos, até as {time}.",
        ),
    ],
    museum: &[
        ("Quem fez esta escultura?", "É do Aleijadinho, em pedra-sabão, do início do século XIX."),
        ("Onde começa a exposição?", "Na sala {number}, subindo a escada à direita."),
    ],
    support: &[
        (
            "A internet caiu de novo",
            "Sinto muito. Há uma manutenção na sua rua, com previsão de volta às {time}.",
        ),
        ("Meu celular não liga", "Segure o botão lateral por {number} segundos. Vibrou?"),
    ],
    kiosk: &[
        ("Onde fica a praça de alimentação?", "No terceiro piso, ao lado da loja {number}."),
        ("Quanto custa o estacionamento?", "R$ {price} por até quatro horas."),
    ],
    small_talk: &[("Sim", "Ótimo!"), ("Não entendi", "Sem problema, vou explicar de outro jeito.")],
    follow_ups: &["Mais alguma coisa?", "Ficou claro?"],
    farewells: &[("Obrigada, tchau", "Até logo! 😊")],
};

const ITALIAN: Language = Language {
    weight: 2,
    chars_per_second: 15.0,
    greetings: &[
        "Ciao, sono {agent}! Come posso aiutarti?",
        "Buongiorno, sono {agent}. Mi dica pure.",
    ],
    orders: &[
        ("Dov'è il mio ordine {order}?", "È già in viaggio: arriverà fra {number} giorni."),
        ("Posso pagare alla consegna?", "Certo, con un supplemento di {price} €."),
    ],
    travel: &[
        (
            "A che ora parte il traghetto?",
            "Alle {time}, dal molo {number}. Si presenti mezz'ora prima.",
        ),
        (
            "C'è sciopero domani?",
            "Purtroppo sì, dalle 9 alle {time}; sono garantite {number} corse.",
        ),
    ],
    museum: &[
        (
            "Perché la torre pende?",
            "Perché il terreno sotto è morbido: cominciò a inclinarsi già al terzo piano.",
        ),
        ("Quanto dura la visita?", "Circa un'ora e mezza, attraverso {number} sale."),
    ],
    support: &[
        (
            "La stampante non stampa",
            "Provi a spegnerla per {number} secondi. Più tardi, alle {time}, passa un tecnico.",
        ),
        ("Non riesco ad accedere", "Le ho mandato un codice di verifica."),
    ],
    kiosk: &[
        ("Dov'è l'uscita?", "In fondo a destra, dopo il negozio {number}."),
        ("C'è uno sconto?", "Oggi sì: costa {price} € invece di molto di più!"),
    ],
    small_talk: &[("Sì", "Benissimo."), ("Può ripetere?", "Volentieri.")],
    follow_ups: &["Serve altro?", "È stato utile?"],
    farewells: &[("Grazie mille, ciao!", "Grazie a te, a presto!")],
};

const UKRAINIAN: Language = Language {
    weight: 1,
    chars_per_second: 13.0,
    greetings: &["Вітаю! Я {agent}. Чим можу допомогти?", "Добрий день, мене звати {agent}."],
    orders: &[
        ("Де моє замовлення {order}?", "Посилка вже у дорозі, буде за {number} дні."),
        ("Хочу повернути гроші", "Зрозуміло. {price} грн надійдуть на вашу картку."),
    ],
    travel: &[
        ("Коли потяг до Львова?", "О {time}, колія {number}."),
        ("Чи є вільні місця?", "Так, у вагоні {number} лишилося два."),
    ],
    museum: &[
        (
            "Скільки років цій карті?",
            "Понад чотириста. Зверніть увагу на морських чудовиськ у куті!",
        ),
        ("Де гардероб?", "На першому поверсі, зачиняється о {time}."),
    ],
    support: &[
        ("Не працює пошта", "Спробуйте вийти й увійти знову за {number} хвилин."),
        ("Забув пароль", "Нічого страшного, надсилаю посилання."),
    ],
    kiosk: &[
        ("Де тут аптека?", "На другому поверсі, магазин {number}."),
        ("Скільки це коштує?", "{price} грн."),
    ],
    small_talk: &[("Так", "Чудово."), ("Повторіть, будь ласка", "Звісно.")],
    follow_ups: &["Ще щось?", "Це допомогло?"],
    farewells: &[("Дякую, бувайте", "На все добре! 💙💛")],
};
