"""The words by which columns that identify people are named, in several languages, and common given names."""

from __future__ import annotations

import re

_PEOPLE = (
    "patient|patienten|pat|pt|subject|subj|person|personen|participant|proband|probanden|respondent|member|client|customer"
    "|kunden?|user|employee|staff|student|pupil|player|donor|beneficiary|insured|versicherten?|doctor|dr|physician|nurse"
    "|surgeon|practitioner|contact|guardian|parent|mother|father|spouse|child|nextofkin|author|owner|cardholder|applicant"
    "|borrower|passenger|resident|witness|paciente|paziente|emergencycontact|attending|attendingphysician|referringdoctor"
)
NAMES = re.compile(
    rf"({_PEOPLE})s?(full|first|last|sur|given|family|middle|maiden|birth)?names?"
    r"|(full|first|last|sur|given|family|middle|maiden|fore|nick|birth)names?(of(the)?(patient|person|subject))?"
    r"|[flm]name|vorname|nachname|familienname|zuname|vorundnachname|nachundvorname|geburtsname|patientenname|kundenname"
    r"|prenoms?|prénoms?|nomdefamille|nom(du)?patient|nom(et)?prenom|apellidos?|nombres?(y)?apellidos?|nombre(del?)?paciente"
    r"|cognome|nome(e)?cognome|nome(del?)?(paciente|paziente)|sobrenome|voornaam|achternaam|fornavn|etternavn|efternavn"
    r"|fornamn|efternamn|nazwisko|imieinazwisko"
)
"""Columns of names of people."""

VAGUE_NAMES = re.compile(rf"names?|name\d|nombre|nome|nom|naam|navn|namn|imie|{_PEOPLE}")
"""Columns of names, of people if their values are names of people."""

USERS = re.compile(r"(user|screen|login|account|benutzer)name|nutzername|login|handle")
PHONES = re.compile(
    r"(home|work|office|patient|contact|emergency|customer|client|day|evening|primary|secondary|alt|guardian|private?)*"
    r"(tele?phone|phone|tel|telefon|telefono|teléfono|téléphone|telefone|mobile?|handy|cell|cellphone|mobilephone|fax"
    r"|rufnummer)(number|nummer|num|nr|no)?\d?"
)
ADDRESSES = re.compile(
    r"(home|street|postal|mailing|patient|customer|client|billing|shipping|work|residential|residence|full|contact)*"
    r"(address(line)?|addr|streetaddress|streetname|street|strasse|straße|anschrift|adresse|direccion|dirección"
    r"|domicilio|indirizzo|endereco|endereço)\d?"
)

_KEY = "id|ids|identifier|uid|guid|uuid|key|ref"
_NUMBER = "nr|no|nbr|num|number|nummer"
SUBJECT_KEYS = re.compile(
    rf"(u|unique|my)?({_PEOPLE}|sub|ind|individual|household|pers)s?({_KEY}|{_NUMBER}|code)"
    r"|id(del?|du)?(patient|paciente|paziente|person|persona|subject|cliente?|kunde)|id|idnumber|idnr|idno|pid|ptid|ptno|rid"
    r"|seqn|(hadm|icustay|admission|encounter|stay|fall|case)(id|key|nr)|fallnummer|numero(du|del?)?(patient|paciente)"
)
"""Columns of keys of people, or of their stays."""

ROW_KEYS = re.compile(
    rf"(visit|episode|record|row|chart|file|order|transaction|account|specimen|sample|accession|claim|policy|ticket"
    rf"|invoice|event|note|document|message|appointment|booking|loan|application)s?({_KEY})|uuid|guid|uid|key|rowid|index"
)
"""Columns of keys of records."""

ANY_KEYS = re.compile(rf"\w+({_KEY.replace('|ref', '')}|idnumber|idnr|idno)")
"""Columns of keys, if nearly all values are different."""

RECORDS = re.compile(
    r"mrn|(patient)?(medical)?record(number|no|nr|num)|medrec(no|num)|nhs(number|no|num)|ssn|socialsecurity(number|no|num)?"
    r"|(health|medical|social)?insur(ance|ed)(policy)?(number|no|nr|num|id)|policy(number|no|num)"
    r"|(health|medicare|medicaid)card(number|no)?|medicare(number|no|id)|medicaid(number|no|id)|hicn"
    r"|(kranken|renten|sozial)?versicher(ung|ungs|ten)(nummer|nr)|krankenversichertennummer|kvnr|svnr|rvnr|steuer(id|nummer)"
    r"|passport(number|no|num)?|passnummer|ausweisnummer|drivers?licen[cs]e(number|no|num)?|licen[cs]e(number|no)"
    r"|nationalid|nationalinsurance(number|no)|nino|taxid|iban|(bank)?account(number|no|num|nr)|kontonummer"
    r"|(credit)?card(number|no|num)|cprnumber|personnummer|fodselsnummer|bsn|codicefiscale|dni|curp|cpf|pesel|aadhaar"
    r"|numsecu|nir(pp)?number|(numero)?(de)?historiaclinica|casenumber|chart(number|no|num)|krankenakte(nnummer)?"
)
"""Columns of numbers of records, insurances, identity cards and accounts."""

GIVEN_NAMES = frozenset(
    """
    aaron abigail ada adam adrian ahmed aisha alan albert alejandro alessandro alex alexander alexandra alexis
    alfred ali alice amanda amber amelia amy ana anders andre andrea andreas andrew angela anita anja ann anna
    anne annette anthony anton antonio ashley astrid audrey barbara beatriz ben benjamin bernard bernd beth
    betty bill billy birgit bob bonnie bradley brandon brenda brian bruce bryan cameron camille carl carla
    carlos carmen carol caroline carolyn catherine charles charlotte cheryl chloe chris christian christina
    christine christopher claire clara claudia cyd cynthia dan daniel daniela danielle dave david deborah debra
    dee denise dennis diana diane diego dieter dirk dmitri donald donna doris dorothy douglas dylan edith
    eduardo edward eleanor elena elisabeth elizabeth ella ellen emily emma eric erik erika ernest esther ethan
    eugene eva eve evelyn fatima felix fernando fiona florian frances francesca francesco francisco francois
    frank franz fred frederick friedrich gabriel gary george gerald gerhard gertrud giovanni giulia giuseppe
    gloria greg gregory guillermo gunter hannah hans harald harold harry hassan hazel heather heidi heike
    heinrich heinz helen helena helga helmut henri henry herbert hiroshi holger horst howard hugo ian ibrahim
    ines ingrid irene isaac isabel isabella ivan jack jacob jacqueline jacques jaime james jan jane janet janice
    jason javier jean jeffrey jennifer jens jeremy jerry jessica jim jimmy joan joanna joao joe joey john jonas
    jonathan jordan jorge jose josef joseph joshua joyce juan juana judith judy julia julian julie jurgen justin
    karen karin karl karolina katarzyna kate katherine kathleen kathryn katja keith kelly kenji kenneth kevin
    kimberly klaus kurt kyle larry lars laura lauren laurent lawrence lea leah leo leon leonardo linda lisa
    logan lorenzo louis louise luca lucas lucia lucy luis luisa lukas magdalena manfred manuel marc marco marcus
    margaret maria mariana marie marilyn mario marion mark markus marta martha martin martina mary mateo matteo
    matthew matthias maximilian megan melanie melissa mia michael michel michelle miguel mike mikhail mohamed
    mohammed monica monika muhammad nancy natalia natalie natasha nathan nicholas nick nicola nicolas nicole
    nina noah nora norma norman olga oliver olivia omar oscar otto owen pablo pamela paola patricia patrick paul
    paula pauline pedro peter petra philip philippe phillip pierre piotr rachel rainer ralf ralph raymond
    rebecca renate ricardo richard robert roberto robin roger roland ronald rosa rosemary roy rudolf russell
    ruth ryan sabine sally samantha samuel sandra sara sarah scott sean sebastian sergei sergio sharon shirley
    silvia simon simone sofia sophia sophie stefan stefanie stella stephanie stephen steve steven susan susanne
    sven sylvia tamara tatiana ted teresa theodor theresa thierry thomas thorsten tim timothy tina tobias tom
    tony tyler ulrich ulrike ursula uwe valentina vanessa vera veronica victor victoria vincent virginia
    vladimir walter wayne wei werner wilhelm william willie wolfgang xavier yasmin yolanda yuki yusuf yvonne
    zachary zoe
    """.split()  # noqa: SIM905 (a list of 500 literals is longer)
)
"""Common given names of several countries."""
